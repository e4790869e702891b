import type { CSSProperties } from 'react';
import type { CellClient } from '../cell-client.ts';
import type { BuildingPlan, DeviceRow } from '../model/answers.ts';
import { figureText, metricTitle, valueFigure } from '../model/figures.ts';
import {
  heatOf,
  heatRange,
  numberOf,
  roomValues,
  type HeatRange,
  type RoomValue,
} from '../model/latest.ts';
import { roomsOf, targetsOf, type Choice } from '../model/plan.ts';
import { pathOfBuilding, type View } from '../model/route.ts';
import { navigate } from '../navigation.ts';
import { Answered } from '../parts/answered.tsx';
import { Segments } from '../parts/segments.tsx';
import { Empty, Failure, Loading } from '../parts/states.tsx';
import type { Live } from '../use-live.ts';
import { RoomTiles } from './room-tiles.tsx';

interface Properties {
  readonly plan: BuildingPlan;
  readonly client: CellClient;
  readonly live: Live;
  readonly devices: readonly DeviceRow[];
  readonly view: View;
  readonly choice: Choice;
}

/** Every room's newest value of one metric, and everything of the room that is chosen. */
export function NowSection({ plan, client, live, devices, view, choice }: Properties) {
  const rooms = roomsOf(plan).map(({ id }) => id);
  const metrics = targetsOf(plan, 'building')[0]?.metrics ?? [];
  const room = roomOf(plan, choice) ?? rooms[0];
  const change = (changed: Partial<View>) =>
    navigate(pathOfBuilding(plan.id, { ...view, ...changed }), { replace: true });
  const silent = new Set(
    devices.filter(({ state }) => state !== 'seen').map(({ device }) => device),
  );
  const values = roomValues(live.points, rooms, choice.metric);
  const heat = heatRange(values);

  return (
    <section className="panel" aria-labelledby="now-title">
      <div className="panel-title">
        <h2 id="now-title">Now, room by room</h2>
        <Answered cell={client.cell} tookMs={live.tookMs} />
      </div>
      <Segments
        label="Metric"
        options={metrics.map((metric) => ({ value: metric, label: metricTitle(metric) }))}
        value={choice.metric}
        onChange={(metric) =>
          change({ metric, ...(!has(choice, metric) && { level: 'room', of: room }) })
        }
      />
      {live.problem && live.points.size === 0 && <Failure problem={live.problem} />}
      {live.points.size === 0 && !live.problem && live.tookMs === undefined && (
        <Loading what="the newest values" lines={4} />
      )}
      {live.points.size === 0 && live.tookMs !== undefined && (
        <Empty title="No device has spoken yet">
          The first value appears here by itself, seconds after it was measured.
        </Empty>
      )}
      {live.points.size > 0 && (
        <div className="now">
          <div className="floors">
            {heat && <HeatScale range={heat} choice={choice} values={values} />}
            {plan.floors.map((floor) => (
              <Floor
                key={floor.id}
                floor={floor}
                values={values}
                heat={heat}
                metric={choice.metric}
                chosen={room}
                silent={silent}
                onChoose={(chosen) => change({ level: 'room', of: chosen, metric: choice.metric })}
              />
            ))}
          </div>
          {room !== undefined && <RoomTiles room={room} points={live.points} silent={silent} />}
        </div>
      )}
    </section>
  );
}

function has({ target }: Choice, metric: string): boolean {
  return target.metrics.includes(metric);
}

function roomOf(plan: BuildingPlan, { level, target }: Choice): string | undefined {
  if (level === 'room') return target.id;
  if (level !== 'device') return undefined;
  return roomsOf(plan).find(({ devices }) => devices.some(({ id }) => id === target.id))?.id;
}

interface HeatScaleProperties {
  readonly range: HeatRange;
  readonly choice: Choice;
  readonly values: readonly RoomValue[];
}

/** What the colours of the rooms mean; the rooms say their values themselves. */
function HeatScale({ range, choice, values }: HeatScaleProperties) {
  const unit = values.find(({ row }) => row !== undefined)?.row?.unit ?? null;
  const text = (value: number) => figureText(valueFigure(value, choice.metric, unit));
  return (
    <p className="heat-scale" aria-hidden="true">
      {text(range.low)} <span /> {text(range.high)}
    </p>
  );
}

interface FloorProperties {
  readonly floor: BuildingPlan['floors'][number];
  readonly values: readonly RoomValue[];
  readonly heat: HeatRange | undefined;
  readonly metric: string;
  readonly chosen: string | undefined;
  readonly silent: ReadonlySet<string>;
  readonly onChoose: (room: string) => void;
}

function Floor({ floor, values, heat, metric, chosen, silent, onChoose }: FloorProperties) {
  const ids = new Set(floor.rooms.map(({ id }) => id));
  return (
    <fieldset className="floor">
      <legend>Floor {floor.id}</legend>
      <div className="room-grid">
        {values
          .filter(({ room }) => ids.has(room))
          .map((value) => (
            <RoomButton
              key={value.room}
              value={value}
              metric={metric}
              heat={heat}
              pressed={value.room === chosen}
              silent={value.row !== undefined && silent.has(value.row.device)}
              onChoose={onChoose}
            />
          ))}
      </div>
    </fieldset>
  );
}

interface RoomButtonProperties {
  readonly value: RoomValue;
  readonly metric: string;
  readonly heat: HeatRange | undefined;
  readonly pressed: boolean;
  readonly silent: boolean;
  readonly onChoose: (room: string) => void;
}

function RoomButton({ value, metric, heat, pressed, silent, onChoose }: RoomButtonProperties) {
  const { room, row } = value;
  const number = row === undefined ? undefined : numberOf(row.value)[0];
  const style: CSSProperties & Record<'--heat', string> = {
    '--heat': `${Math.round((number === undefined ? 0 : heatOf(number, heat)) * 100)}%`,
  };
  const states = [
    'room-button',
    row === undefined && 'unknown',
    number === undefined && 'plain',
    silent && 'silent',
  ];
  return (
    <button
      type="button"
      className={states.filter((state) => state !== false).join(' ')}
      style={style}
      aria-pressed={pressed}
      onClick={() => onChoose(room)}
    >
      <span className="room-name">{room}</span>
      <span className="room-value">
        {row ? figureText(valueFigure(row.value, metric, row.unit)) : '–'}
      </span>
      {silent && <span className="room-silent">silent</span>}
    </button>
  );
}

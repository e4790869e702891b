import type { LatestRow } from '../model/answers.ts';
import { byImportance, metricTitle, valueFigure } from '../model/figures.ts';
import { pointKey, type Points } from '../model/latest.ts';
import { ago } from '../model/time.ts';
import { useNow } from '../use-now.ts';

interface Properties {
  readonly room: string;
  readonly points: Points;
  readonly silent: ReadonlySet<string>;
}

/** Everything one room says, newest values with their age. */
export function RoomTiles({ room, points, silent }: Properties) {
  const now = useNow(1_000);
  const rows = [...points.values()]
    .filter((row) => row.room === room)
    .toSorted((a, b) => byImportance(a.metric, b.metric) || a.device.localeCompare(b.device));
  return (
    <div className="room-tiles">
      <h3>Room {room}</h3>
      {rows.length === 0 && <p>No device of this room has spoken yet.</p>}
      <dl>
        {rows.map((row) => (
          <Tile key={pointKey(row)} row={row} now={now} silent={silent.has(row.device)} />
        ))}
      </dl>
    </div>
  );
}

interface TileProperties {
  readonly row: LatestRow;
  readonly now: number;
  readonly silent: boolean;
}

function Tile({ row, now, silent }: TileProperties) {
  const { text, sign } = valueFigure(row.value, row.metric, row.unit);
  return (
    <div className={silent ? 'tile silent' : 'tile'}>
      <dt>{metricTitle(row.metric)}</dt>
      <dd>
        <span className="tile-value">
          {text}
          {sign !== '' && <small> {sign}</small>}
        </span>
        <span className="tile-age">
          {silent && 'silent, '}
          {ago(Date.parse(row.measuredAt), now)}
        </span>
        <span className="tile-device">{row.device}</span>
      </dd>
    </div>
  );
}

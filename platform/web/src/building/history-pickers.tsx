import type { BuildingPlan } from '../model/answers.ts';
import { metricTitle } from '../model/figures.ts';
import { targetsOf, type Choice } from '../model/plan.ts';
import { pathOfBuilding, type View } from '../model/route.ts';
import {
  intervalNames,
  intervalsFor,
  levels,
  ranges,
  stepped,
  type Level,
  type Span,
} from '../model/window.ts';
import { navigate } from '../navigation.ts';
import { Segments } from '../parts/segments.tsx';
import { SelectField } from '../parts/select-field.tsx';

interface Properties {
  readonly plan: BuildingPlan;
  readonly view: View;
  readonly choice: Choice;
  readonly span: Span;
}

const levelNames: Readonly<Record<Level, string>> = {
  building: 'Building',
  floor: 'Floor',
  room: 'Room',
  device: 'Device',
};

const levelOptions = levels.map((level) => ({ value: level, label: levelNames[level] }));
const rangeOptions = ranges.map(({ name, label }) => ({ value: name, label }));

export function HistoryPickers({ plan, view, choice, span }: Properties) {
  const change = (changed: Partial<View>) =>
    navigate(pathOfBuilding(plan.id, { ...view, ...changed }), { replace: true });
  const targets = targetsOf(plan, choice.level);
  return (
    <>
      <div className="pickers">
        <SelectField
          label="Level"
          options={levelOptions}
          value={choice.level}
          onChange={(level) => change({ level, of: undefined, metric: choice.metric })}
        />
        {choice.level !== 'building' && (
          <SelectField
            label={levelNames[choice.level]}
            options={targets.map(({ id, label }) => ({ value: id, label }))}
            value={choice.target.id}
            onChange={(of) => change({ of })}
          />
        )}
        <SelectField
          label="Metric"
          options={choice.target.metrics.map((name) => ({ value: name, label: metricTitle(name) }))}
          value={choice.metric}
          onChange={(metric) => change({ metric, of: choice.target.id })}
        />
        <SelectField
          label="Each point"
          options={intervalsFor(view.range).map((value) => ({
            value,
            label: intervalNames[value],
          }))}
          value={span.interval}
          onChange={(interval) => change({ interval })}
        />
      </div>
      <div className="pickers">
        <Segments
          label="Range"
          options={rangeOptions}
          value={view.range}
          onChange={(range) => change({ range, interval: undefined })}
        />
        <Steps view={view} onChange={(until) => change({ until })} />
      </div>
    </>
  );
}

interface StepsProperties {
  readonly view: View;
  readonly onChange: (until: number | undefined) => void;
}

function Steps({ view, onChange }: StepsProperties) {
  return (
    <fieldset className="steps">
      <legend className="visually-hidden">Move the range</legend>
      <button type="button" onClick={() => onChange(stepped(view, -1, Date.now()))}>
        <Chevron direction="left" /> Earlier
      </button>
      <button
        type="button"
        disabled={view.until === undefined}
        onClick={() => onChange(stepped(view, 1, Date.now()))}
      >
        Later <Chevron direction="right" />
      </button>
      {view.until !== undefined && (
        <button type="button" onClick={() => onChange(undefined)}>
          Now
        </button>
      )}
    </fieldset>
  );
}

function Chevron({ direction }: { readonly direction: 'left' | 'right' }) {
  return (
    <svg className="chevron" viewBox="0 0 16 16" aria-hidden="true">
      <path d={direction === 'left' ? 'M10 3 5 8l5 5' : 'm6 3 5 5-5 5'} />
    </svg>
  );
}

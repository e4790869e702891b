import { useEffect, useRef, useState } from 'react';
import type { CellClient } from '../cell-client.ts';
import type { Building, DeviceRow, LatestRow, SummaryRow } from '../model/answers.ts';
import { countText, figureText, metricTitle, summaryFigure } from '../model/figures.ts';
import { glanceFigures } from '../model/glance.ts';
import { pathOfBuilding } from '../model/route.ts';
import { extentOf, seriesOf } from '../model/series.ts';
import { clockTime, zoneName } from '../model/time.ts';
import { spanOf } from '../model/window.ts';
import { useLoad } from '../use-load.ts';
import { useNow } from '../use-now.ts';
import { CountryPlate } from './country-plate.tsx';
import { Link } from './link.tsx';
import { Sparkline } from './sparkline.tsx';

interface Properties {
  readonly building: Building;
  readonly client: CellClient;
}

const refreshMs = 30_000;
const metric = 'temperature';

export function BuildingCard({ building, client }: Properties) {
  const item = useRef<HTMLLIElement>(null);
  const seen = useSeen(item);
  return (
    <li ref={item} className="building-card">
      <CountryPlate country={client.cell.country} name={client.cell.name} />
      <h3>
        <Link to={pathOfBuilding(building.id)}>{building.name ?? building.id}</Link>
      </h3>
      <p className="building-where">
        {building.name !== undefined && building.name !== null && <code>{building.id}</code>}
        <LocalTime zone={building.timeZone} />
      </p>
      <div className="glance">{seen && <Glance building={building} client={client} />}</div>
    </li>
  );
}

function LocalTime({ zone }: { readonly zone: string }) {
  const now = useNow(10_000);
  return (
    <span>
      {clockTime(now, zone)} {zoneName(zone, now)}
    </span>
  );
}

/** The building's day at a glance, asked for once the card is in sight. */
function Glance({ building, client }: Properties) {
  const { id, timeZone } = building;
  const { value, problem } = useLoad(
    id,
    async (signal) => {
      const span = spanOf(
        { range: '24h', interval: 'PT15M', until: undefined },
        Date.now(),
        timeZone,
      );
      const query = { ...span, building: id, level: 'building', metric, id } as const;
      const [devices, latest, summaries] = await Promise.all([
        client.devices(id, signal),
        client.latest(id, signal),
        client.summaries(query, signal),
      ]);
      return { devices: devices.value, latest: latest.value, rows: summaries.value };
    },
    { refreshMs },
  );
  if (!value)
    return (
      <p className="glance-words">{problem ? `${problem.title}. ${problem.detail}` : 'Asking…'}</p>
    );
  return (
    <>
      <Figures latest={value.latest} devices={value.devices} />
      <Day rows={value.rows} zone={timeZone} />
    </>
  );
}

interface FiguresProperties {
  readonly latest: readonly LatestRow[];
  readonly devices: readonly DeviceRow[];
}

function Figures({ latest, devices }: FiguresProperties) {
  const heard = devices.filter(({ state }) => state === 'seen').length;
  return (
    <div>
      <dl className="glance-figures">
        {glanceFigures(latest, devices).map(({ title, figure }) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>
              {figure.text} <small>{figure.sign}</small>
            </dd>
          </div>
        ))}
      </dl>
      <p className={heard === devices.length ? 'heard all-well' : 'heard some-silent'}>
        {countText(heard)} of {countText(devices.length)} devices heard
      </p>
    </div>
  );
}

function Day({ rows, zone }: { readonly rows: readonly SummaryRow[]; readonly zone: string }) {
  const extent = extentOf(rows);
  const [first] = rows;
  if (!extent || !first) return <p className="glance-words">No temperature in the last 24 hours</p>;
  const text = (value: number) => figureText(summaryFigure(value, metric, first.unit));
  return (
    <div>
      <Sparkline series={seriesOf(rows)} />
      <p className="glance-words">
        <span>
          {metricTitle(metric)} since {clockTime(Date.parse(first.windowStart), zone)}
        </span>
        <span>
          {text(extent.min)} to {text(extent.max)}
        </span>
      </p>
    </div>
  );
}

function useSeen(element: React.RefObject<HTMLElement | null>): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (seen || !element.current) return undefined;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) setSeen(true);
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element, seen]);
  return seen;
}

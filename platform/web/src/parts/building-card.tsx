import { useEffect, useRef, useState } from 'react';
import type { CellClient } from '../cell-client.ts';
import type { Building, DeviceRow, SummaryRow } from '../model/answers.ts';
import { countText, figureText, summaryFigure } from '../model/figures.ts';
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

const refreshMs = 60_000;
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
      {seen ? <Glance building={building} client={client} /> : <div className="glance" />}
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
  const { value, problem } = useLoad(
    building.id,
    async (signal) => {
      const span = spanOf(
        { range: '24h', interval: 'PT15M', until: undefined },
        Date.now(),
        building.timeZone,
      );
      const query = { ...span, building: building.id, level: 'building', metric } as const;
      const [devices, summaries] = await Promise.all([
        client.devices(building.id, signal),
        client.summaries({ ...query, id: building.id }, signal),
      ]);
      return { devices: devices.value, rows: summaries.value };
    },
    { refreshMs },
  );
  if (problem && !value) return <p className="glance failed">{problem.title}</p>;
  return (
    <div className="glance">
      <Sparkline series={seriesOf(value?.rows ?? [])} />
      <p className="glance-words">{value ? <Words {...value} /> : 'Asking…'}</p>
    </div>
  );
}

interface WordsProperties {
  readonly devices: readonly DeviceRow[];
  readonly rows: readonly SummaryRow[];
}

function Words({ devices, rows }: WordsProperties) {
  const speaking = devices.filter(({ state }) => state === 'seen').length;
  const extent = extentOf(rows);
  const unit = rows[0]?.unit ?? null;
  return (
    <>
      <span className={speaking === devices.length ? 'all-well' : 'some-silent'}>
        {countText(speaking)} of {countText(devices.length)} devices heard
      </span>
      <span>
        {extent
          ? `${figureText(summaryFigure(extent.avg, metric, unit))} on average in 24 hours`
          : 'No temperature in the last 24 hours'}
      </span>
    </>
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

import type { BuildingPlan } from '../model/answers.ts';
import { countryWords, type Cell } from '../model/configuration.ts';
import { ago, clockTime, zoneName } from '../model/time.ts';
import { CountryPlate } from '../parts/country-plate.tsx';
import { Link } from '../parts/link.tsx';
import type { Live } from '../use-live.ts';
import { useNow } from '../use-now.ts';

interface Properties {
  readonly building: BuildingPlan;
  readonly cell: Cell;
  readonly live: Live;
}

export function BuildingHeader({ building, cell, live }: Properties) {
  const now = useNow(1_000);
  return (
    <div className="building-header">
      <nav aria-label="Breadcrumb" className="breadcrumb">
        <Link to="/">Your buildings</Link>
        <span aria-hidden="true">/</span>
        <span>{cell.name}</span>
      </nav>
      <div className="building-title">
        <CountryPlate country={cell.country} name={cell.name} large />
        <div>
          <h1>{building.name ?? building.id}</h1>
          <p className="building-where">
            {building.name !== undefined && building.name !== null && <code>{building.id}</code>}
            <span>
              {clockTime(now, building.timeZone)} {zoneName(building.timeZone, now)}
            </span>
          </p>
        </div>
        <LivePill live={live} now={now} />
      </div>
      <p className="residency">
        Its readings are processed and stored in <strong>{countryWords(cell)}</strong> and nowhere
        else. Your browser asks the cell there, {new URL(cell.api).host}, directly.
      </p>
    </div>
  );
}

const words = {
  connecting: 'Connecting…',
  live: 'Live',
  waiting: 'Reconnecting…',
  ended: 'Not live',
} as const;

function LivePill({ live, now }: { readonly live: Live; readonly now: number }) {
  return (
    <p className={`live-pill ${live.state}`}>
      <output>{words[live.state]}</output>
      {live.heardAt !== undefined && (
        <span className="live-age">last value {ago(live.heardAt, now)}</span>
      )}
    </p>
  );
}

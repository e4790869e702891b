import type { CellClient } from '../cell-client.ts';
import { useCells } from '../cells.ts';
import { countryWords } from '../model/configuration.ts';
import { counted } from '../model/figures.ts';
import { Answered } from '../parts/answered.tsx';
import { BuildingCard } from '../parts/building-card.tsx';
import { CountryPlate } from '../parts/country-plate.tsx';
import { Empty, Failure, Loading } from '../parts/states.tsx';
import { useLoad } from '../use-load.ts';
import { useTitle } from '../use-title.ts';

const refreshMs = 60_000;

export function BuildingsPage() {
  useTitle('Your buildings');
  const clients = useCells();
  return (
    <>
      <div className="page-title">
        <h1>Your buildings</h1>
        <p className="lead">
          {clients.length === 1
            ? 'One country.'
            : `${clients.length} countries, each asked by your browser directly. They share nothing.`}
        </p>
      </div>
      {clients.map((client) => (
        <CountrySection key={client.cell.country} client={client} />
      ))}
    </>
  );
}

function CountrySection({ client }: { readonly client: CellClient }) {
  const { cell } = client;
  const { value, problem, retry } = useLoad(cell.country, (signal) => client.buildings(signal), {
    refreshMs,
  });
  const outside = problem?.status === 403;
  const heading = `country-${cell.country}`;
  return (
    <section className="country" aria-labelledby={heading}>
      <div className="country-title">
        <CountryPlate country={cell.country} name={cell.name} large />
        <div>
          <h2 id={heading}>{cell.name}</h2>
          {value && <p className="country-count">{counted(value.value.length, 'building')}</p>}
        </div>
        {value && <Answered cell={cell} tookMs={value.tookMs} />}
      </div>
      {problem && !outside && <Failure problem={problem} retry={retry} />}
      {!value && !problem && <Loading what={`the buildings in ${countryWords(cell)}`} />}
      {(outside || value?.value.length === 0) && (
        <Empty title={`You have no building in ${countryWords(cell)}`}>
          When one is onboarded there, it appears here by itself.
        </Empty>
      )}
      {value && value.value.length > 0 && (
        <ul className="building-list">
          {value.value.map((building) => (
            <BuildingCard key={building.id} building={building} client={client} />
          ))}
        </ul>
      )}
    </section>
  );
}

import { AccountSection } from '../building/account-section.tsx';
import { BuildingHeader } from '../building/building-header.tsx';
import { DeviceHealth } from '../building/device-health.tsx';
import { HistorySection } from '../building/history-section.tsx';
import { NowSection } from '../building/now-section.tsx';
import type { CellClient } from '../cell-client.ts';
import { useCells } from '../cells.ts';
import { cellOf } from '../model/configuration.ts';
import { choiceOf, isOf } from '../model/plan.ts';
import type { View } from '../model/route.ts';
import { Link } from '../parts/link.tsx';
import { Empty, Failure, Loading } from '../parts/states.tsx';
import { useLive } from '../use-live.ts';
import { useLoad } from '../use-load.ts';
import { useTitle } from '../use-title.ts';

interface Properties {
  readonly id: string;
  readonly view: View;
}

/** By the ids of their headings. */
const pageParts = [
  { id: 'now-title', label: 'Now' },
  { id: 'history-title', label: 'Over time' },
  { id: 'devices-title', label: 'Devices' },
  { id: 'account-title', label: 'Account' },
];
const planRefreshMs = 5 * 60_000;
const devicesRefreshMs = 20_000;

export function BuildingPage({ id, view }: Properties) {
  const clients = useCells();
  const cell = cellOf(
    id,
    clients.map((client) => client.cell),
  );
  const client = clients.find((one) => one.cell === cell);
  if (client) return <BuildingOfCell client={client} id={id} view={view} />;
  return (
    <div className="narrow">
      <h1>No cell for this country</h1>
      <p>
        The building {id} lies in a country whose cell this page does not know. Go to{' '}
        <Link to="/">your buildings</Link>.
      </p>
    </div>
  );
}

function BuildingOfCell({ client, id, view }: Properties & { readonly client: CellClient }) {
  const plan = useLoad(id, (signal) => client.building(id, signal), { refreshMs: planRefreshMs });
  const devices = useLoad(id, (signal) => client.devices(id, signal), {
    refreshMs: devicesRefreshMs,
  });
  const building = plan.value?.value;
  const choice = building && choiceOf(building, view);
  const live = useLive(client, id, (row) => choice !== undefined && isOf(row, choice));
  useTitle(building?.name ?? id);

  if (!building)
    return (
      <div className="narrow">
        <nav aria-label="Breadcrumb" className="breadcrumb">
          <Link to="/">Your buildings</Link>
        </nav>
        <h1>{id}</h1>
        {plan.problem ? (
          <Failure problem={plan.problem} retry={plan.retry} />
        ) : (
          <Loading what="the building" lines={6} />
        )}
      </div>
    );

  return (
    <>
      <BuildingHeader building={building} cell={client.cell} live={live} />
      <nav aria-label="On this page" className="page-parts">
        {pageParts.map(({ id: part, label }) => (
          <a key={part} href={`#${part}`}>
            {label}
          </a>
        ))}
      </nav>
      {plan.problem && <Failure problem={plan.problem} retry={plan.retry} />}
      {choice ? (
        <>
          <NowSection
            plan={building}
            client={client}
            live={live}
            devices={devices.value?.value ?? []}
            view={view}
            choice={choice}
          />
          <HistorySection plan={building} client={client} live={live} view={view} choice={choice} />
        </>
      ) : (
        <Empty title="This building has no devices yet">
          Once its rooms and devices are declared, they appear here by themselves.
        </Empty>
      )}
      <div className="two-columns">
        <DeviceHealth cell={client.cell} devices={devices} />
        <AccountSection client={client} building={building} />
      </div>
    </>
  );
}

import { useState } from 'react';
import type { Answer } from '../cell-client.ts';
import type { DeviceRow } from '../model/answers.ts';
import type { Cell } from '../model/configuration.ts';
import { devicesInOrder, healthWords } from '../model/health.ts';
import { ago, duration } from '../model/time.ts';
import { Answered } from '../parts/answered.tsx';
import { ScrollArea } from '../parts/scroll-area.tsx';
import { Empty, Failure, Loading } from '../parts/states.tsx';
import type { Loaded } from '../use-load.ts';
import { useNow } from '../use-now.ts';

interface Properties {
  readonly cell: Cell;
  readonly devices: Loaded<Answer<DeviceRow[]>>;
}

export function DeviceHealth({ cell, devices }: Properties) {
  const { value, problem, retry } = devices;
  return (
    <section className="panel" aria-labelledby="devices-title">
      <div className="panel-title">
        <h2 id="devices-title">Device health</h2>
        {value && <Answered cell={cell} tookMs={value.tookMs} />}
      </div>
      {problem && <Failure problem={problem} retry={retry} />}
      {!value && !problem && <Loading what="the devices" />}
      {value?.value.length === 0 && (
        <Empty title="No devices are declared">They appear here once they are.</Empty>
      )}
      {value && value.value.length > 0 && <Health rows={value.value} />}
    </section>
  );
}

function Health({ rows }: { readonly rows: readonly DeviceRow[] }) {
  const [all, setAll] = useState(false);
  const { verdict, headline } = healthWords(rows);
  const ordered = devicesInOrder(rows);
  const shown = all ? ordered : ordered.filter(({ state }) => state !== 'seen');
  return (
    <>
      <p className={`verdict ${verdict}`}>{headline}</p>
      <HealthBar rows={rows} />
      {shown.length > 0 && <DeviceTable rows={shown} />}
      <button type="button" className="quiet" aria-expanded={all} onClick={() => setAll(!all)}>
        {all ? 'Show only those not heard' : `Show all ${rows.length} devices`}
      </button>
    </>
  );
}

/** One dot a device, in the order of the table; the words above say the same. */
function HealthBar({ rows }: { readonly rows: readonly DeviceRow[] }) {
  return (
    <div className="health-dots" aria-hidden="true">
      {rows.map(({ device, state }) => (
        <span key={device} className={`dot ${state}`} title={`${device}: ${state}`} />
      ))}
    </div>
  );
}

const stateNames = { seen: 'heard', silent: 'silent', 'never-seen': 'never heard' } as const;

function DeviceTable({ rows }: { readonly rows: readonly DeviceRow[] }) {
  const now = useNow(1_000);
  return (
    <ScrollArea label="Devices">
      <table>
        <thead>
          <tr>
            <th scope="col">Device</th>
            <th scope="col">Type</th>
            <th scope="col">State</th>
            <th scope="col">Last heard</th>
            <th scope="col">Speaks every</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.device}>
              <th scope="row">{row.device}</th>
              <td>{row.type}</td>
              <td>
                <span className={`state ${row.state}`}>{stateNames[row.state]}</span>
                {row.reported === 'offline' && ', offline'}
              </td>
              <td>{row.lastAt ? ago(Date.parse(row.lastAt), now) : '–'}</td>
              <td>{duration(row.everyMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}

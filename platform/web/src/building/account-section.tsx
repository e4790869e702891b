import { useState } from 'react';
import type { CellClient } from '../cell-client.ts';
import { accountSpan, accountPeriods, type AccountPeriod } from '../model/account-period.ts';
import { accountWords, missingNumbers } from '../model/account.ts';
import type { Account, Building } from '../model/answers.ts';
import { countText } from '../model/figures.ts';
import { Answered } from '../parts/answered.tsx';
import { Segments } from '../parts/segments.tsx';
import { Failure, Loading } from '../parts/states.tsx';
import { useLoad } from '../use-load.ts';

interface Properties {
  readonly client: CellClient;
  readonly building: Building;
}

const refreshMs = 30_000;

/** What was expected, what arrived, and what is missing. */
export function AccountSection({ client, building }: Properties) {
  const [period, setPeriod] = useState<AccountPeriod>('today');
  const { value, problem, loading, retry } = useLoad(
    period,
    (signal) =>
      client.account(building.id, accountSpan(period, Date.now(), building.timeZone), signal),
    { refreshMs, keep: true },
  );
  return (
    <section className="panel" aria-labelledby="account-title">
      <div className="panel-title">
        <h2 id="account-title">Nothing lost in silence</h2>
        {value && <Answered cell={client.cell} tookMs={value.tookMs} />}
      </div>
      <Segments
        label="Period"
        options={accountPeriods}
        value={period}
        onChange={(chosen) => setPeriod(chosen)}
      />
      {problem && <Failure problem={problem} retry={retry} />}
      {!value && !problem && <Loading what="the account" />}
      {value && (
        <div aria-busy={loading} className={loading ? 'account stale' : 'account'}>
          <Words account={value.value} />
        </div>
      )}
    </section>
  );
}

function Words({ account }: { readonly account: Account }) {
  const { verdict, headline, notes } = accountWords(account);
  const missing = missingNumbers(account.rows);
  return (
    <>
      <p className={`verdict ${verdict}`}>{headline}</p>
      <ul className="notes">
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
      {missing.length > 0 && (
        <>
          <h3>Missing, by number</h3>
          <ul className="missing">
            {missing.map(({ device, boot, readings, numbers }) => (
              <li key={`${device} ${boot}`}>
                <strong>{device}</strong> {countText(readings)}: number{readings === 1 ? '' : 's'}{' '}
                {numbers}
                {boot !== null && <small> of run {boot}</small>}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

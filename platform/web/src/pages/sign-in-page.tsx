import { useState } from 'react';
import type { Cell } from '../model/configuration.ts';
import { problemFrom, type Problem } from '../model/problem.ts';
import { CountryPlate } from '../parts/country-plate.tsx';
import { Failure } from '../parts/states.tsx';
import type { Session } from '../session/session.ts';
import { useTitle } from '../use-title.ts';

interface Properties {
  readonly session: Session;
  readonly reason: string | undefined;
  readonly cells: readonly Cell[];
}

export function SignInPage({ session, reason, cells }: Properties) {
  useTitle('Sign in');
  const [problem, setProblem] = useState<Problem>();
  const [leaving, setLeaving] = useState(false);

  const signIn = () => {
    setLeaving(true);
    setProblem(undefined);
    const here = location.pathname === '/callback' ? '/' : location.pathname + location.search;
    session.signIn(here).catch((error: unknown) => {
      setLeaving(false);
      setProblem(problemFrom(error));
    });
  };

  return (
    <div className="sign-in">
      <div className="sign-in-words">
        <p className="eyebrow">Buildings’ data stays home</p>
        <h1>Your buildings, each in its own country.</h1>
        <p className="lead">
          Air, light, doors and people, room by room, as they are now and as they were. Readings are
          processed and stored only in the country where they were born. Your browser brings them
          together.
        </p>
        {reason !== undefined && <output className="reason">{reason}</output>}
        {problem && <Failure problem={problem} />}
        <button type="button" className="primary" onClick={signIn} disabled={leaving}>
          {leaving ? 'Going to sign-in…' : 'Sign in'}
        </button>
      </div>
      <ul className="sign-in-cells" aria-label="Countries with a cell">
        {cells.map(({ country, name, api }) => (
          <li key={country}>
            <CountryPlate country={country} name={name} large />
            <span>
              <strong>{name}</strong>
              <small>cell at {new URL(api).host}</small>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

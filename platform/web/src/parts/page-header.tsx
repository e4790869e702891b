import type { Session, SessionState } from '../session/session.ts';
import { Link } from './link.tsx';
import { ThemeChoice } from './theme-choice.tsx';

interface Properties {
  readonly session: Session;
  readonly state: SessionState;
}

export function PageHeader({ session, state }: Properties) {
  return (
    <header className="page-header">
      <Link to="/" className="brand">
        <BrandMark />
        <span>Domicile</span>
      </Link>
      <div className="page-header-tools">
        <ThemeChoice />
        {state.signedIn && (
          <>
            <span className="user-name" title="Signed in as">
              {state.name}
            </span>
            <button type="button" className="quiet" onClick={() => void session.signOut()}>
              Sign out
            </button>
          </>
        )}
      </div>
    </header>
  );
}

function BrandMark() {
  return (
    <svg className="brand-mark" viewBox="0 0 48 48" aria-hidden="true">
      <rect width="48" height="48" rx="12" />
      <path d="M10 25 24 12l14 13v11a2 2 0 0 1-2 2H12a2 2 0 0 1-2-2z" />
      <path className="signal" d="M17 31a7 7 0 0 1 14 0" />
      <circle cx="24" cy="32" r="2.5" />
    </svg>
  );
}

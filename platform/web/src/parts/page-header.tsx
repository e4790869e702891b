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

export function BrandMark() {
  return (
    <svg className="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M6 15.5 16 7l10 8.5V26H6z" />
      <circle cx="16" cy="19.5" r="3" />
    </svg>
  );
}

import { useSyncExternalStore } from 'react';
import { currentTheme, setTheme, subscribeToTheme, type Theme } from '../theme.ts';

const next: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' };
const names: Readonly<Record<Theme, string>> = {
  system: 'as the system',
  light: 'light',
  dark: 'dark',
};

/** One button that goes round: as the system, light, dark. */
export function ThemeChoice() {
  const theme = useSyncExternalStore(subscribeToTheme, currentTheme);
  const label = `Colours: ${names[theme]}. Change to ${names[next[theme]]}`;
  return (
    <button
      type="button"
      className="quiet icon-button"
      aria-label={label}
      title={label}
      onClick={() => setTheme(next[theme])}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        {theme === 'light' && (
          <>
            <circle cx="12" cy="12" r="4.2" />
            <path d="M12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3M5.3 5.3l2.1 2.1M16.6 16.6l2.1 2.1M5.3 18.7l2.1-2.1M16.6 7.4l2.1-2.1" />
          </>
        )}
        {theme === 'dark' && <path d="M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z" />}
        {theme === 'system' && (
          <>
            <circle cx="12" cy="12" r="8.2" />
            <path className="filled" d="M12 3.8a8.2 8.2 0 0 1 0 16.4z" />
          </>
        )}
      </svg>
    </button>
  );
}

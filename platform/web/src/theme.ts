export type Theme = 'system' | 'light' | 'dark';

const key = 'domicile.theme';
const themes: readonly Theme[] = ['system', 'light', 'dark'];
const listeners = new Set<() => void>();
let current: Theme = 'system';

/** Takes up what was chosen last time; the style sheet follows the system where nothing was. */
export function startTheme(): void {
  const kept = localStorage.getItem(key);
  show(themes.find((theme) => theme === kept) ?? 'system');
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', tell);
}

export function currentTheme(): Theme {
  return current;
}

export function setTheme(theme: Theme): void {
  localStorage.setItem(key, theme);
  show(theme);
  tell();
}

export function subscribeToTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function show(theme: Theme): void {
  current = theme;
  document.documentElement.dataset['theme'] = theme;
}

function tell(): void {
  for (const listener of listeners) listener();
}

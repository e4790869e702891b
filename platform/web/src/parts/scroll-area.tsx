import type { ReactNode } from 'react';

interface Properties {
  readonly label: string;
  readonly children: ReactNode;
}

/** What scrolls by itself, also by the keyboard, and is named for it. */
export function ScrollArea({ label, children }: Properties) {
  return (
    // Without a place in the tab order nobody could scroll it by keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <section className="table-scroll" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}

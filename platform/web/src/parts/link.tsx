import type { MouseEvent, ReactNode } from 'react';
import { navigate } from '../navigation.ts';

interface Properties {
  readonly to: string;
  readonly className?: string;
  readonly children: ReactNode;
}

/** A link within the app. With a modifier key it stays the browser's: a new tab, a new window. */
export function Link({ to, className, children }: Properties) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0)
      return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={to} className={className} onClick={follow}>
      {children}
    </a>
  );
}

import { useEffect } from 'react';

/** The browser's title for a page, which screen readers say first. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – Domicile`;
  }, [title]);
}

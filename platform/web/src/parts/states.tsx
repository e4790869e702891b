import type { ReactNode } from 'react';
import type { Problem } from '../model/problem.ts';

/** What a part of the page shows while it has nothing else to show. */

export function Loading({ what, lines = 3 }: { readonly what: string; readonly lines?: number }) {
  return (
    <output className="loading">
      <span className="visually-hidden">Loading {what}…</span>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} className="loading-line" aria-hidden="true" />
      ))}
    </output>
  );
}

interface FailureProperties {
  readonly problem: Problem;
  readonly retry?: () => void;
}

export function Failure({ problem, retry }: FailureProperties) {
  return (
    <div className="failure" role="alert">
      <p className="failure-title">{problem.title}</p>
      <p>{problem.detail}</p>
      {problem.retriable && retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ReactNode;
}) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      <p>{children}</p>
    </div>
  );
}

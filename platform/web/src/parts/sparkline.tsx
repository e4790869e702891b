import type { Series } from '../model/series.ts';
import { sparklinePaths } from '../model/sparkline.ts';

const size = { width: 300, height: 64 };

/** A day as a line with its band; the figures stand beside it, so it is hidden from screen readers. */
export function Sparkline({ series }: { readonly series: Series }) {
  const paths = sparklinePaths(series, size);
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${size.width} ${size.height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {paths.band !== '' && <path className="band" d={paths.band} />}
      {paths.line !== '' && <path className="line" d={paths.line} />}
    </svg>
  );
}

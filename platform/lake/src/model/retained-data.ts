import { landedStreams } from './landing-key.ts';
import { summaryFolder } from './summary-manifest.ts';
import { summaryIntervals } from './summary-windows.ts';

/**
 * What goes when its time is over: data alone. Plans and manifests stay, as readers follow them from the first one, and so does
 * the newest snapshot; they hold counts and no values.
 */
export const retainedDataPrefixes: readonly string[] = [
  ...landedStreams.map((stream) => `landing/${stream}/v1/dt=`),
  ...summaryIntervals.map((interval) => `${summaryFolder(interval)}data/`),
];

/** What the serving builder removes when it is superseded. */
export const prunedPrefixes: readonly string[] = summaryIntervals.flatMap((interval) =>
  ['snapshots', 'data'].map((part) => `${summaryFolder(interval)}${part}/`),
);

/** docs/api/mqtt.md: a clock may run ahead of the receipt by this. */
export const aheadMsMax = 5 * 60_000;
/** docs/api/mqtt.md: what is older was measured by a clock that is wrong. */
export const backMsMax = 400 * 86_400_000;

export function faultOfTime(
  measuredAtMs: number,
  receivedAtMs: number,
): 'time-ahead' | 'time-too-old' | undefined {
  if (measuredAtMs > receivedAtMs + aheadMsMax) return 'time-ahead';
  return measuredAtMs < receivedAtMs - backMsMax ? 'time-too-old' : undefined;
}

/** When a certificate is good; milliseconds since 1970. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** `due`: to be renewed, with time left; `late`: nine tenths are over and it is not renewed. */
export type CertificateState = 'good' | 'due' | 'late' | 'ended';

const dueShare = 2 / 3;
const jitterShare = 1 / 30;
const lateShare = 0.9;

/** Two thirds through its life, a little before or after: gateways that began together do not renew together. */
export function renewalAtMs({ fromMs, untilMs }: Validity, random: number): number {
  return fromMs + (untilMs - fromMs) * (dueShare + jitterShare * (2 * random - 1));
}

export function certificateState({ fromMs, untilMs }: Validity, nowMs: number): CertificateState {
  const share = (nowMs - fromMs) / (untilMs - fromMs);
  if (!(share < 1)) return 'ended';
  if (share >= lateShare) return 'late';
  return share >= dueShare + jitterShare ? 'due' : 'good';
}

const backOffFirstMs = 2000;
const backOffMaxMs = 600_000;

/** The wait after so many failures in a row, 1 and up: doubling, at most ten minutes, the last half of it at random. */
export function backOffMs(failures: number, random: number): number {
  const whole = Math.min(backOffMaxMs, backOffFirstMs * 2 ** Math.min(failures - 1, 20));
  return whole / 2 + (whole / 2) * random;
}

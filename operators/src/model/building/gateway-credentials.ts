import { rotateAnnotations } from './building-resource.ts';

/** Data of the Secret beside a building, decoded. */
export interface GatewaySecret {
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, string>;
}

/** Keys of that Secret. */
export const gatewayKeys = {
  building: 'building',
  password: 'password',
  passwordHash: 'password-hash',
  token: 'enrolment-token',
  authority: 'ca.crt',
} as const;

export function gatewaySecretName(building: string): string {
  return `${building}-gateway`;
}

export type Credential = 'password' | 'token';

/** Which credentials have to be made anew: those that are missing, and those whose annotation has another value than was done. */
export function credentialsDue(
  asked: Readonly<Record<string, string>>,
  present: GatewaySecret | undefined,
): Credential[] {
  const all: readonly Credential[] = ['password', 'token'];
  if (!present) return [...all];
  return all.filter((credential) => {
    const isMissing = (present.data.get(gatewayKeys[credential]) ?? '').trim() === '';
    const name = rotateAnnotations[credential];
    return isMissing || (asked[name] !== undefined && asked[name] !== present.annotations[name]);
  });
}

/** The annotations of the Secret that say what was done. */
export function rotationsDone(asked: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.values(rotateAnnotations).flatMap((name) => {
      const value = asked[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

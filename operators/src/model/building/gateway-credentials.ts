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

/** Those that are made here have 24 and 32 characters, all of them random. */
const charactersMin = 16;
const charactersMax = 256;
/** A word that is said again and again is long and no secret. */
const differentMin = 8;

/** Why one that somebody wrote is not taken; undefined for one that is fit. */
export function credentialFault(text: string): string | undefined {
  const { length } = text;
  if (length < charactersMin)
    return `it has ${length} characters, and ${charactersMin} are the fewest`;
  if (length > charactersMax)
    return `it has ${length} characters, and ${charactersMax} are the most`;
  if (!/^[!-~]+$/.test(text))
    return 'it holds something else than letters, digits and signs of ASCII';
  const different = new Set(text).size;
  if (different < differentMin)
    return `it repeats ${different} characters, and ${differentMin} different ones are the fewest`;
  return undefined;
}

/** A credential of the Secret that is not taken. */
export interface RefusedCredential {
  readonly credential: Credential;
  readonly why: string;
}

/** What to do about those that are not taken. */
export function refusalTold(secret: string, refused: readonly RefusedCredential[]): string {
  const told = refused.map(({ credential, why }) => {
    const key = gatewayKeys[credential];
    const until =
      credential === 'password'
        ? 'the one that was in force before stays so'
        : 'no gateway enrols until there is a better one';
    return `The ${key} in the Secret ${secret} is not taken: ${why}; ${until}. Write a better one there, or take the key ${key} out and one is made`;
  });
  return told.join('. ');
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

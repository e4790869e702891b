import { createHash, timingSafeEqual } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';

const hashed = /^sha256:([0-9a-f]{64})$/i;
const nobody = createHash('sha256').update('nobody').digest();

/** Who may send as which device. Only digests of tokens are held in memory. */
export class DeviceTokens {
  readonly #digests: ReadonlyMap<string, Buffer>;

  /** By device: a token, or `sha256:` and its digest in hex. Throws `CONFIG_INVALID`. */
  constructor(tokens: Readonly<Record<string, string>>) {
    this.#digests = new Map(
      Object.entries(tokens).map(([device, token]) => [device, digestIn(device, token)]),
    );
  }

  /** Takes the same time whoever asks. */
  isOf(device: string, token: string): boolean {
    const expected = this.#digests.get(device);
    const given = createHash('sha256').update(token).digest();
    return timingSafeEqual(given, expected ?? nobody) && expected !== undefined;
  }
}

function digestIn(device: string, token: string): Buffer {
  const hex = hashed.exec(token)?.[1];
  if (hex !== undefined) return Buffer.from(hex, 'hex');
  if (token === '' || token.startsWith('sha256:'))
    throw new PlatformError(
      'CONFIG_INVALID',
      `Cannot read the token of ${device}: expected a token, or sha256: and 64 hex digits`,
    );
  return createHash('sha256').update(token).digest();
}

import { PlatformError } from '@domicile/core/errors.ts';
import type { Request } from 'express';
import { type FieldMapping, readingOfFields } from '../../model/fields.ts';

export const jsonType = 'application/json';
export const formType = 'application/x-www-form-urlencoded';

/**
 * The payload in a request, in the form of docs/api/mqtt.md: JSON as it came, a form or (with a mapping) a flat object made into a
 * reading. Throws `MEDIA_TYPE_UNSUPPORTED`, and `VALUE_INVALID` with every fault of the fields.
 */
export function payloadOf(request: Request, mapping: FieldMapping): Buffer {
  const body: unknown = request.body;
  if (!Buffer.isBuffer(body))
    throw new PlatformError(
      'MEDIA_TYPE_UNSUPPORTED',
      `Cannot keep readings: send ${jsonType} or ${formType}`,
    );
  if (request.is(formType) !== false)
    return fieldsPayload([...new URLSearchParams(body.toString())], mapping);
  const flat = mapping.fields && flatIn(body);
  return flat ? fieldsPayload(Object.entries(flat), mapping) : body;
}

function fieldsPayload(told: readonly (readonly [string, unknown])[], mapping: FieldMapping) {
  const read = readingOfFields(told, mapping);
  if ('reading' in read) return Buffer.from(JSON.stringify(read.reading));
  throw new PlatformError('VALUE_INVALID', 'Cannot keep readings: fields cannot be read', {
    faults: read.faults,
  });
}

/** An object without `values`, which is no reading of the contract. */
function flatIn(body: Buffer): object | undefined {
  try {
    const json: unknown = JSON.parse(body.toString());
    const isFlat =
      typeof json === 'object' && json !== null && !Array.isArray(json) && !('values' in json);
    return isFlat ? json : undefined;
  } catch {
    return undefined;
  }
}

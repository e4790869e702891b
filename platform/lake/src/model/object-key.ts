import { PlatformError } from '@domicile/core/errors.ts';
import { keyLengthMax } from '../object-store.ts';

const keyPattern = /^(?:[A-Za-z0-9_=-][A-Za-z0-9_=.-]*\/)*[A-Za-z0-9_=-][A-Za-z0-9_=.-]*$/;

export function isObjectKey(text: string): boolean {
  return text.length <= keyLengthMax && keyPattern.test(text);
}

/** Throws `VALUE_INVALID`: no part of a key is empty or begins with a dot, so none leads out of its store. */
export function requireKey(key: string): string {
  if (isObjectKey(key)) return key;
  throw new PlatformError('VALUE_INVALID', 'Cannot use this text as the key of an object');
}

/** A key and a slash: a folder. Throws `VALUE_INVALID`. */
export function requirePrefix(prefix: string): string {
  if (prefix.endsWith('/') && isObjectKey(prefix.slice(0, -1))) return prefix;
  throw new PlatformError('VALUE_INVALID', 'Cannot list: the prefix is not a folder');
}

export function isPointer(key: string): boolean {
  return isObjectKey(key) && /(?:^|\/)latest\.[a-z]{1,8}$/.test(key);
}

/** Only `latest.*` is ever replaced. Throws `VALUE_INVALID`. */
export function requirePointer(key: string): string {
  if (isPointer(key)) return key;
  throw new PlatformError('VALUE_INVALID', 'Cannot replace an object that is no pointer');
}

import { expect, test } from 'vitest';
import { isEqual, mergePatchOf } from './merge-patch.ts';

/** RFC 7396, section 2. */
function applyPatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result = new Map<string, unknown>(isObject ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch))
    if (value === null) result.delete(name);
    else result.set(name, applyPatch(result.get(name), value));
  return Object.fromEntries(result);
}

test('equal states want no patch, whatever the order of their keys', () => {
  expect(
    mergePatchOf({ a: 1, b: { c: [1, { d: 2, e: 3 }] } }, { b: { c: [1, { e: 3, d: 2 }] }, a: 1 }),
  ).toBeUndefined();
  expect(mergePatchOf({}, { a: undefined })).toBeUndefined();
});

test.each([
  [{ a: 1, gone: 2 }, { a: 1 }],
  [{ a: { b: 1, gone: 2 } }, { a: { b: 3 } }],
  [{ a: { b: 1 } }, { a: {} }],
  [{ a: [1, 2] }, { a: [2] }],
  [undefined, { a: { b: [] } }],
  [{ a: 'text' }, { a: { b: 1 } }],
  [{ a: { b: 1 } }, { a: 'text' }],
  [{ a: 1, b: { c: 1 } }, {}],
])('the patch makes what is wanted of %j', (current, wanted) => {
  const patched = applyPatch(current ?? {}, mergePatchOf(current, wanted));
  expect(isEqual(patched, wanted)).toBe(true);
});

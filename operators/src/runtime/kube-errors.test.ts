import { expect, test } from 'vitest';
import { errorOfAnswer, errorOfConnection, isManagerConflict } from './kube-errors.ts';

test('a conflict of managers is told from a change in between', () => {
  const causes = [{ reason: 'FieldManagerConflict', field: '.spec.replicas' }];
  const managers = errorOfAnswer(409, { reason: 'Conflict', details: { causes } }, 'apply it');
  const changed = errorOfAnswer(409, { reason: 'Conflict', details: { name: 'x' } }, 'apply it');
  expect([managers.code, isManagerConflict(managers)]).toEqual(['CONFLICT', true]);
  expect([changed.code, isManagerConflict(changed)]).toEqual(['CONFLICT', false]);
});

test('the wish of the server to be spared is kept', () => {
  const error = errorOfAnswer(429, { details: { retryAfterSeconds: 2 } }, 'list');
  expect(error).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterMs: 2_000 } });
});

test.each([undefined, null, 'text', 7, [], { message: 5, details: 'x' }])(
  'an answer of any kind is an error of ours: %j',
  (body) => {
    const error = errorOfAnswer(418, body, 'look');
    expect(error.code).toBe('UPSTREAM_UNAVAILABLE');
    expect(error.message).toBe('Cannot look: the API server answers 418');
  },
);

test('a long message of the server is cut', () => {
  expect(errorOfAnswer(422, { message: 'x'.repeat(10_000) }, 'apply').message.length).toBeLessThan(
    2_100,
  );
});

test.each([
  new Error('reset'),
  Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
  'odd',
])('no answer is an unavailable upstream', (error) => {
  expect(errorOfConnection(error, 'look')).toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
    message: expect.stringContaining('Cannot look: the API server gives no answer'),
  });
});

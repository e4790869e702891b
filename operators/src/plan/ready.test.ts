import { expect, test } from 'vitest';
import type { KubeObject } from '../runtime/kube.ts';
import { readinessOf } from './ready.ts';

function cell(generation: number, conditions?: readonly object[]): KubeObject {
  return {
    apiVersion: 'domicile.dev/v1alpha1',
    kind: 'Cell',
    metadata: { name: 'de', generation },
    ...(conditions && { status: { conditions } }),
  };
}

const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: 'all is up' };

test('it is Ready when the operator says so of the spec that it has now', () => {
  expect(readinessOf(cell(2, [{ ...ready, observedGeneration: 2 }])).isReady).toBe(true);
  expect(readinessOf(cell(3, [{ ...ready, observedGeneration: 2 }]))).toEqual({
    isReady: false,
    told: 'Cell de: Ready: the operator has not seen its last change yet',
  });
});

test('if it is not, the reason and the message are told', () => {
  expect(readinessOf(cell(1)).told).toBe('Cell de: the operator has not looked at it yet');
  const not = { ...ready, status: 'False', reason: 'KafkaAway', message: 'start Kafka' };
  expect(readinessOf(cell(1, [{ ...not, observedGeneration: 1 }])).told).toBe(
    'Cell de: KafkaAway: start Kafka',
  );
});

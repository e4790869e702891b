import { expect, test } from 'vitest';
import { appliedFields, isApplied, valuesOf } from './applied-fields.ts';

const fields = {
  'f:metadata': { 'f:labels': { 'f:app': {} } },
  'f:spec': {
    'f:replicas': {},
    'f:selector': {},
    'f:containers': {
      'k:{"name":"a"}': {
        '.': {},
        'f:name': {},
        'f:image': {},
        'f:ports': {
          'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
        },
      },
    },
    'f:finalizers': { 'v:"one"': {} },
  },
};

const wanted = {
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: 'thing', namespace: 'here', labels: { app: 'x' } },
  spec: {
    replicas: 2,
    selector: { app: 'x' },
    containers: [{ name: 'a', image: 'i:1', ports: [{ containerPort: 80 }] }],
    finalizers: ['one'],
  },
};

/** As the server keeps it: defaults beside, other managers' fields, another order. */
const live = {
  ...wanted,
  metadata: {
    ...wanted.metadata,
    uid: 'u',
    labels: { other: 'y', app: 'x' },
    managedFields: [
      { manager: 'kubectl', operation: 'Update', apiVersion: 'v1', fieldsV1: {} },
      { manager: 'us', operation: 'Apply', apiVersion: 'v1', fieldsV1: fields },
      { manager: 'us', operation: 'Apply', apiVersion: 'v1', subresource: 'status' },
    ],
  },
  spec: {
    ...wanted.spec,
    paused: false,
    containers: [
      { name: 'sidecar', image: 's' },
      { image: 'i:1', name: 'a', ports: [{ protocol: 'TCP', containerPort: 80 }], tty: false },
    ],
    finalizers: ['two', 'one'],
  },
};

test('the fields are those of the manager, its apply and its subresource', () => {
  const us = { name: 'us', apiVersion: 'v1' };
  expect(appliedFields(live, us)).toEqual(fields);
  expect(appliedFields(live, { ...us, subresource: 'status' })).toBeUndefined();
  expect(appliedFields(live, { ...us, name: 'kubectl' })).toBeUndefined();
  expect(appliedFields(live, { ...us, apiVersion: 'v2' })).toBeUndefined();
  expect(appliedFields({}, us)).toBeUndefined();
});

test('what stands as wanted is applied, whatever others have beside', () => {
  expect(isApplied(wanted, live, fields)).toBe(true);
});

test.each([
  ['a value', { ...wanted, spec: { ...wanted.spec, replicas: 3 } }],
  ['a field more', { ...wanted, spec: { ...wanted.spec, paused: false } }],
  ['a label less', { ...wanted, metadata: { ...wanted.metadata, labels: {} } }],
  ['a field less', { ...wanted, spec: { ...wanted.spec, replicas: undefined } }],
  ['a whole map', { ...wanted, spec: { ...wanted.spec, selector: { app: 'y' } } }],
  ['an item more', { ...wanted, spec: { ...wanted.spec, finalizers: ['one', 'three'] } }],
  [
    'an item of a list',
    { ...wanted, spec: { ...wanted.spec, containers: [{ name: 'b', image: 'i:1' }] } },
  ],
  [
    'a field of an item',
    { ...wanted, spec: { ...wanted.spec, containers: [{ name: 'a', image: 'i:2' }] } },
  ],
])('%s that differs is not applied', (_what, other) => {
  expect(isApplied(other, live, fields)).toBe(false);
});

test('the values tell a change of ours from a change of others', () => {
  const others = { ...live, spec: { ...live.spec, paused: true } };
  const ours = { ...live, spec: { ...live.spec, replicas: 5 } };
  expect(valuesOf(fields, others)).toBe(valuesOf(fields, live));
  expect(valuesOf(fields, ours)).not.toBe(valuesOf(fields, live));
});

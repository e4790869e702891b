import { expect, test } from 'vitest';
import { z } from 'zod';
import { admissionObjects, operatorAdmission } from './admission.ts';
import { planOfDe } from './test-plan.ts';

const policy = z.object({
  kind: z.literal('ValidatingAdmissionPolicy'),
  metadata: z.object({ name: z.string() }),
  spec: z.object({ failurePolicy: z.literal('Fail'), paramKind: z.unknown().optional() }),
});
const binding = z.object({
  kind: z.literal('ValidatingAdmissionPolicyBinding'),
  spec: z.object({
    policyName: z.string(),
    validationActions: z.tuple([z.literal('Deny')]),
    paramRef: z.object({ parameterNotFoundAction: z.literal('Deny') }).optional(),
    matchResources: z
      .object({ namespaceSelector: z.object({ matchExpressions: z.tuple([z.unknown()]) }) })
      .optional(),
  }),
});

const ofOperator = (country: 'DE' | 'KE') =>
  operatorAdmission(country, {
    operatorNamespace: 'domicile-system',
    cellNamespace: 'domicile',
    buildingNamespaces: ['north', 'north'],
  });

test('every policy is bound, and a cell’s refuses everything without its Cell', () => {
  const objects = admissionObjects(planOfDe());
  const names = objects.flatMap((one) => policy.safeParse(one).data?.metadata.name ?? []);
  const bound = objects.flatMap((one) => binding.safeParse(one).data ?? []);
  expect(bound.map(({ spec }) => spec.policyName)).toEqual(names);
  expect(bound.filter(({ spec }) => spec.paramRef === undefined)).toEqual([]);
});

test('the operator’s own need no Cell, which could be gone, and hold in each of its namespaces', () => {
  const objects = ofOperator('DE');
  const policies = objects.flatMap((one) => policy.safeParse(one).data ?? []);
  expect(policies.map(({ metadata }) => metadata.name)).toEqual([
    'domicile-operator-placement',
    'domicile-operator-binding',
    'domicile-operator-names',
    'domicile-operator-claims',
    'domicile-operator-volumes',
  ]);
  expect(policies.filter(({ spec }) => spec.paramKind !== undefined)).toEqual([]);
  const selected = objects.flatMap(
    (one) =>
      binding.safeParse(one).data?.spec.matchResources?.namespaceSelector.matchExpressions ?? [],
  );
  const expected = {
    key: 'kubernetes.io/metadata.name',
    operator: 'In',
    values: ['domicile', 'domicile-system', 'north'],
  };
  const alone = { ...expected, values: ['domicile', 'domicile-system'] };
  expect(selected).toEqual([expected, expected, alone, alone]);
});

test.each([
  ['DE', ['europe-west3', 'europe-west10', 'onprem-de-'], 'us-'],
  ['KE', ['onprem-ke-'], 'europe-'],
] as const)('home of the operator is all of %s, and nothing else', (country, home, abroad) => {
  const text = JSON.stringify(ofOperator(country));
  for (const region of home) expect(text).toContain(region);
  expect(text).not.toContain(abroad);
});

import { expect, test } from 'vitest';
import { withoutForeignContainers } from './foreign-containers.ts';

const workloadOf = (containers: object[], initContainers?: object[]) => ({
  spec: { template: { spec: { containers, ...(initContainers && { initContainers }) } } },
});
const ours = workloadOf([{ name: 'raw-api', image: 'domicile:1' }]);

test('a container that somebody added is taken out, and what he added to ours stays', () => {
  const mine = { name: 'raw-api', image: 'domicile:1', env: [{ name: 'A', value: '1' }] };
  const live = workloadOf([mine, { name: 'spy', image: 'spy:1' }]);
  expect(withoutForeignContainers(ours, live)).toEqual({
    template: { spec: { containers: [mine] } },
  });
});

test('one that runs before ours, too', () => {
  const [mine] = ours.spec.template.spec.containers;
  const live = workloadOf([mine ?? {}], [{ name: 'spy', image: 'spy:1' }]);
  expect(withoutForeignContainers(ours, live)).toEqual({
    template: { spec: { containers: [mine], initContainers: [] } },
  });
});

test('nothing is done where all are ours, or where there are no containers', () => {
  expect(withoutForeignContainers(ours, ours)).toBeUndefined();
  expect(withoutForeignContainers({ spec: {} }, ours)).toBeUndefined();
  expect(withoutForeignContainers(ours, undefined)).toBeUndefined();
});

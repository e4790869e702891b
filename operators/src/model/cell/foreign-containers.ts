import { z } from 'zod';

const container = z.looseObject({ name: z.string() });
const workload = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.array(container),
        initContainers: z.array(container).optional(),
      }),
    }),
  }),
});

type Container = z.output<typeof container>;

/**
 * The merge patch of a workload that takes out containers which somebody added: they would run with its account, its secrets and
 * its ways through the network. Undefined if there are none, or it is no workload. What he added to our own containers stays.
 */
export function withoutForeignContainers(wanted: unknown, live: unknown): object | undefined {
  const ours = workload.safeParse(wanted);
  const theirs = workload.safeParse(live);
  if (!ours.success || !theirs.success) return undefined;
  const { containers: wantedContainers, initContainers: wantedInit = [] } =
    ours.data.spec.template.spec;
  const { containers, initContainers = [] } = theirs.data.spec.template.spec;
  const kept = named(containers, wantedContainers);
  const keptInit = named(initContainers, wantedInit);
  if (kept.length === containers.length && keptInit.length === initContainers.length)
    return undefined;
  const init = initContainers.length === 0 ? {} : { initContainers: keptInit };
  return { template: { spec: { containers: kept, ...init } } };
}

function named(live: readonly Container[], wanted: readonly Container[]): readonly Container[] {
  const names = new Set(wanted.map(({ name }) => name));
  return live.filter(({ name }) => names.has(name));
}

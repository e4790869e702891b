import type { Fault } from '@domicile/core/errors.ts';

/** What would become of one resource; offline as if nothing were there yet. */
export interface PlannedResource {
  readonly kind: 'Cell' | 'Building' | 'values';
  readonly name: string;
  /** The file that declares it. */
  readonly source: string;
  readonly action: Action;
  /** For people: what it comes to, or what would change. */
  readonly details: readonly string[];
  /** What is allowed and may not be meant. */
  readonly warnings: readonly string[];
  /** Why it is refused, and where. */
  readonly faults: readonly Fault[];
}

export type Action = 'create' | 'change' | 'same' | 'remove' | 'refuse';

export interface Plan {
  readonly country: string;
  /** Compared with what is there, and asked of the API server by dry run. */
  readonly server: boolean;
  readonly resources: readonly PlannedResource[];
}

export function isRefused({ resources }: Plan): boolean {
  return resources.some(({ action }) => action === 'refuse');
}

const signs: Readonly<Record<Action, string>> = {
  create: '+',
  change: '~',
  same: '=',
  remove: '-',
  refuse: '!',
};

const words: Readonly<Record<Action, string>> = {
  create: 'to create',
  change: 'to change',
  same: 'unchanged',
  remove: 'to take out',
  refuse: 'refused',
};

const actions = ['create', 'change', 'remove', 'same', 'refuse'] as const satisfies Action[];

/** As a terminal shows it. */
export function tableOfPlan(plan: Plan): string {
  const nameWidth = Math.max(8, ...plan.resources.map(({ name }) => name.length));
  const blocks = plan.resources.map((resource) => blockOf(resource, nameWidth));
  const heading = plan.server
    ? `Plan for ${plan.country}, compared with the cluster:`
    : `Plan for ${plan.country}, offline, as if nothing were there yet:`;
  return `${[heading, '', ...blocks, '', summaryOf(plan)].join('\n')}\n`;
}

function blockOf(resource: PlannedResource, nameWidth: number): string {
  const { kind, name, action, details, warnings, faults } = resource;
  const head = `  ${signs[action]} ${kind.padEnd(8)} ${name.padEnd(nameWidth)}  `;
  const lines = [
    ...faults.map(faultTold),
    ...details,
    ...warnings.map((warning) => `Note: ${warning}`),
  ];
  const [first = words[action], ...rest] = action === 'refuse' ? ['refused', ...lines] : lines;
  return [`${head}${first}`, ...rest.map((line) => `${' '.repeat(head.length)}${line}`)].join('\n');
}

/** With its place as Helm writes it: `buildings.de-7f3k.floors.1`. */
export function faultTold({ pointer, detail }: Fault): string {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.');
  return path === '' ? detail : `${path}: ${detail}`;
}

function summaryOf({ resources, server }: Plan): string {
  const counts = actions.flatMap((action) => {
    const count = resources.filter((resource) => resource.action === action).length;
    return count === 0 ? [] : [`${count} ${words[action]}`];
  });
  const told = counts.length === 0 ? 'Nothing is declared' : counts.join(', ');
  const more = server ? '' : ' --server compares with what is there.';
  return `${told}. Nothing was changed.${more}`;
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { readPresent } from './compare.ts';
import { readConfig, type ToolConfig } from './config.ts';
import { type Declared, readDeclared } from './declared.ts';
import { makePlan } from './make-plan.ts';
import { isRefused, type Plan, tableOfPlan } from './plan.ts';
import {
  addressReadiness,
  buildingsReadiness,
  cellReadiness,
  type Readiness,
  untilReady,
} from './ready.ts';
import { openToolKube } from './tool-kube.ts';
import { readPacks } from './world.ts';

const help = `domicile plan -f FILE [-f FILE …]    what values or manifests would create, change or be refused; changes nothing
domicile ready cell/NAME             whether a Cell is Ready
domicile ready buildings             whether Buildings are Ready
domicile ready URL                   whether an address answers 2xx

Of plan:
  -f, --values FILE      values of domicile-cell or domicile-buildings, or manifests; - is the standard input
      --country CC       the country of the cluster; unless said, the cluster's or the files' own
      --server           compare with what is there, and let the API server say what it would refuse (a dry run)
      --release NAME     with --server: also which buildings of that release the values leave out, and what becomes of their data
  -o, --output FORM      table (the default) or json
Of ready:
  -l, --selector LABELS  of buildings
      --count N          how many buildings there must be
      --timeout SECONDS  how long to wait; 60 unless said
Of both:
  -n, --namespace NAME   of buildings; domicile-buildings unless said
      --kubeconfig FILE  else KUBECONFIG, ~/.kube/config, or the pod's own account
  -h, --help

Ends with
  0  plan: nothing is refused; ready: all of it is
  1  plan: something is refused, and each fault is told with its place; ready: something is not, and why
  2  it cannot be told: the command line, a file that is no YAML, no API server, or a fault of this tool; told on the standard error

  domicile plan -f buildings.yaml                        before a commit, without a cluster
  domicile plan -f buildings.yaml --server --release b   before helm upgrade b
  domicile ready cell/de --timeout 300
`;

export const exitCodes = { fine: 0, refused: 1, unknown: 2 } as const;

export interface ToolIo {
  readonly write: (told: string) => void;
  readonly complain: (told: string) => void;
}

/** Runs a command line; answers the exit code. */
export async function runTool(args: readonly string[], io: ToolIo): Promise<number> {
  try {
    const { values, positionals } = read(args);
    const [command, ...rest] = positionals;
    if (values.help === true || command === 'help') {
      io.write(help);
      return exitCodes.fine;
    }
    if (command === undefined) throw new Misunderstood('a command is missing: plan or ready');
    const config = readConfig();
    if (command === 'plan' && rest.length === 0) return await plan(values, config, io);
    if (command === 'ready' && rest.length === 1)
      return await ready(rest[0] ?? '', { values, config, io });
    throw new Misunderstood(
      command === 'plan' || command === 'ready'
        ? `${command} does not take ${rest.join(' ') || 'nothing'}`
        : `there is no command ${command}`,
    );
  } catch (error) {
    if (error instanceof Misunderstood)
      io.complain(`domicile: ${error.message}; domicile --help tells how\n`);
    else if (error instanceof PlatformError) io.complain(`domicile: ${error.message}\n`);
    // By itself Node would end with 1, which says that something is refused.
    else
      io.complain(`domicile: a fault of this tool: ${error instanceof Error ? error.stack : ''}\n`);
    return exitCodes.unknown;
  }
}

class Misunderstood extends Error {}

type Options = ReturnType<typeof read>['values'];

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        values: { type: 'string', short: 'f', multiple: true },
        country: { type: 'string' },
        server: { type: 'boolean' },
        release: { type: 'string' },
        output: { type: 'string', short: 'o' },
        namespace: { type: 'string', short: 'n' },
        selector: { type: 'string', short: 'l' },
        count: { type: 'string' },
        timeout: { type: 'string' },
        kubeconfig: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new Misunderstood(error instanceof Error ? error.message : 'bad options');
  }
}

async function plan(values: Options, config: ToolConfig, io: ToolIo): Promise<number> {
  const files = values.values ?? [];
  const output = values.output ?? 'table';
  if (files.length === 0) throw new Misunderstood('plan wants a file: -f FILE');
  if (output !== 'table' && output !== 'json')
    throw new Misunderstood(`--output is table or json, not ${output}`);
  if (values.release !== undefined && values.server !== true)
    throw new Misunderstood('--release wants --server');
  const declared = await declaredIn(files);
  const ofCheckout = join(import.meta.dirname, '../../../regions');
  const packs = await readPacks(config.OPERATOR_REGIONS_DIR ?? ofCheckout);
  const request = {
    declared,
    packs,
    country: values.country,
    namespace: values.namespace ?? 'domicile-buildings',
    release: values.release,
  };
  const made =
    values.server === true
      ? await planOnServer(request, { values, config })
      : await makePlan({ ...request, server: undefined });
  io.write(output === 'json' ? `${JSON.stringify(made, undefined, 2)}\n` : tableOfPlan(made));
  return isRefused(made) ? exitCodes.refused : exitCodes.fine;
}

/** Throws `VALUE_INVALID` for all of them that cannot be read, a line each. */
async function declaredIn(files: readonly string[]): Promise<Declared[]> {
  const all = await Promise.all(
    files.map(async (file) => {
      try {
        return readDeclared(await contentOf(file), file);
      } catch (error) {
        if (error instanceof PlatformError) return error;
        throw error;
      }
    }),
  );
  const failed = all.filter((one) => one instanceof PlatformError);
  if (failed.length > 0)
    throw new PlatformError('VALUE_INVALID', failed.map(({ message }) => message).join('\n'));
  return all.flatMap((one) => (one instanceof PlatformError ? [] : one));
}

async function planOnServer(
  request: Omit<Parameters<typeof makePlan>[0], 'server'>,
  { values, config }: { readonly values: Options; readonly config: ToolConfig },
): Promise<Plan> {
  using opened = await openToolKube(config, values.kubeconfig);
  const present = await readPresent(opened.kube).catch((error: unknown) => {
    if (!(error instanceof PlatformError) || error.code !== 'NOT_FOUND') throw error;
    throw new PlatformError(
      'NOT_FOUND',
      'Cannot plan: the cluster does not know Cell and Building; install the chart domicile-operator first',
      { cause: error },
    );
  });
  return await makePlan({ ...request, server: { kube: opened.kube, present } });
}

async function contentOf(source: string): Promise<string> {
  try {
    return source === '-' ? await text(process.stdin) : await readFile(source, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it cannot be opened';
    throw new PlatformError('VALUE_INVALID', `Cannot read ${source}: ${why}`, { cause: error });
  }
}

async function ready(
  what: string,
  {
    values,
    config,
    io,
  }: { readonly values: Options; readonly config: ToolConfig; readonly io: ToolIo },
): Promise<number> {
  const timeoutMs = numberIn(values.timeout, '--timeout', 60) * 1000;
  const count = values.count === undefined ? undefined : numberIn(values.count, '--count', 0);
  const cell = /^cells?\/([a-z0-9-]{1,63})$/.exec(what)?.[1];
  let answer: Readiness;
  if (/^https?:/.test(what)) answer = await untilReady(() => addressReadiness(what), timeoutMs);
  else if (cell === undefined && what !== 'buildings')
    throw new Misunderstood(`ready wants cell/NAME, buildings or a URL, not ${what}`);
  else {
    using opened = await openToolKube(config, values.kubeconfig);
    const { kube } = opened;
    const asked = {
      namespace: values.namespace ?? 'domicile-buildings',
      labelSelector: values.selector,
      count,
    };
    answer = await untilReady(
      () => (cell === undefined ? buildingsReadiness(kube, asked) : cellReadiness(kube, cell)),
      timeoutMs,
    );
  }
  io.write(`${answer.told.join('\n')}\n`);
  return answer.isReady ? exitCodes.fine : exitCodes.refused;
}

function numberIn(given: string | undefined, option: string, otherwise: number): number {
  const number = given === undefined ? otherwise : Number(given);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Misunderstood(`${option} is a whole number, not ${given}`);
}

import { basename } from 'node:path';
import { type ContainerSpec, fieldOf, type Pod } from './pod-spec.ts';

/** What Secrets and ConfigMaps of the pod's namespace hold, by key. */
export interface ObjectData {
  secret(name: string): Contents | undefined;
  configMap(name: string): Contents | undefined;
}

export type Contents = Readonly<Record<string, Buffer>>;

export interface CommandContext {
  readonly pod: Pod;
  readonly container: ContainerSpec;
  readonly podIp: string;
  readonly data: ObjectData;
  /** Where each path of the image, `/app` and the mount paths, really lies. */
  readonly folders: ReadonlyMap<string, string>;
}

export interface Command {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** What the image would run by itself. */
const entrypoint = ['node', '--enable-source-maps'];

/** What to run instead of the image: the same command in the checkout, its paths replaced. Throws with what is missing. */
export function commandOf(context: CommandContext): Command {
  const { container, folders } = context;
  const env = environmentOf(context);
  const written = [
    ...(container.command.length > 0 ? container.command : entrypoint),
    ...container.args,
  ];
  const [program = '', ...parameters] = written.map((part) =>
    replacePaths(expand(part, env), folders),
  );
  const replaced = Object.entries(env).map(([name, value]) => [name, replacePaths(value, folders)]);
  return {
    command: [basename(program) === 'node' ? process.execPath : program, ...parameters],
    env: Object.fromEntries(replaced),
    cwd: replacePaths(container.workingDir, folders),
  };
}

function environmentOf(context: CommandContext): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { prefix, secretRef, configMapRef } of context.container.envFrom) {
    const all =
      (secretRef && found(context, 'secret', secretRef)) ??
      (configMapRef && found(context, 'configMap', configMapRef)) ??
      {};
    for (const [key, value] of Object.entries(all)) env[prefix + key] = value.toString();
  }
  for (const { name, value, valueFrom } of context.container.env) {
    const taken = valueFrom === undefined ? expand(value, env) : valueOf(context, valueFrom);
    if (taken !== undefined) env[name] = taken;
  }
  return env;
}

type ValueFrom = NonNullable<ContainerSpec['env'][number]['valueFrom']>;

/** Undefined for what is optional and not there. */
function valueOf(context: CommandContext, from: ValueFrom): string | undefined {
  if (from.fieldRef !== undefined) {
    const value = fieldOf(context.pod, from.fieldRef.fieldPath, context.podIp);
    if (value === undefined) throw new Error(`no field ${from.fieldRef.fieldPath}`);
    return value;
  }
  for (const [kind, ref] of [
    ['secret', from.secretKeyRef],
    ['configMap', from.configMapKeyRef],
  ] as const) {
    if (ref === undefined) continue;
    const value = found(context, kind, ref)?.[ref.key];
    if (value === undefined && !ref.optional)
      throw new Error(`couldn't find key ${ref.key} in ${kind} ${ref.name}`);
    return value?.toString();
  }
  return '';
}

function found(
  { data }: CommandContext,
  kind: 'secret' | 'configMap',
  { name, optional }: { readonly name: string; readonly optional: boolean },
): Contents | undefined {
  const held = data[kind](name);
  if (held === undefined && !optional) throw new Error(`${kind} "${name}" not found`);
  return held;
}

/** `$(NAME)` of what is set before; `$$(NAME)` is left as `$(NAME)`, and so is a name that is not set. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([A-Za-z_][\w.-]*)\)/g, (whole, name?: string) =>
    name === undefined ? '$' : (env[name] ?? whole),
  );
}

/** Each path that begins with one of the folders, alone or inside a list, a flag or JSON; the longest folder first. */
export function replacePaths(text: string, folders: ReadonlyMap<string, string>): string {
  const paths = [...folders.keys()].toSorted((a, b) => b.length - a.length);
  if (paths.length === 0) return text;
  const any = paths.map((path) => path.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  const pattern = new RegExp(`(^|[=,:;"'\\s]|file://)(${any.join('|')})(?=$|[/,:;"'\\s])`, 'g');
  return text.replaceAll(
    pattern,
    (_whole, before: string, path: string) => before + (folders.get(path) ?? path),
  );
}

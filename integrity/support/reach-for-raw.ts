/**
 * Reaches for raw data as the code of the serving process could: by its own permissions and its own Kafka user. Prints what
 * each attempt came to, as JSON. Argument: a JSON of `Reach`.
 */
import { readFile } from 'node:fs/promises';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';

export interface Reach {
  readonly files: readonly string[];
  readonly topics: readonly string[];
  readonly client: ClientOptions;
}

export type Outcomes = Readonly<Record<string, string>>;

const { files, topics, client }: Reach = JSON.parse(process.argv[2] ?? '{}');
const outcomes: Record<string, string> = {};

/** The innermost code: what the operating system or Kafka said. */
function codeOf(error: unknown): string {
  let code = String(error);
  for (let at: unknown = error; at instanceof Error;) {
    if ('apiId' in at && typeof at.apiId === 'string') return at.apiId;
    if ('code' in at && typeof at.code === 'string') code = at.code;
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return code;
}

for (const file of files)
  outcomes[file] = await readFile(file).then((bytes) => `${bytes.length} bytes`, codeOf);
for (const topic of topics)
  outcomes[topic] = await endOffsets({ client, topic }).then(
    (ends) => `${ends.length} ends`,
    codeOf,
  );
process.stdout.write(JSON.stringify(outcomes));

import type { Case } from './bench.ts';
import { connectCases } from './cases/connect.ts';
import { endingCases } from './cases/ending.ts';
import { publishCases } from './cases/publish.ts';
import { qualityCases } from './cases/quality.ts';
import { retainedCases } from './cases/retained.ts';
import { sessionCases } from './cases/session.ts';
import { sharedCases } from './cases/shared.ts';
import { subscribeCases } from './cases/subscribe.ts';
import { topicCases } from './cases/topics.ts';
import { willCases } from './cases/will.ts';
import type { Otherwise, Otherwises } from './clause.ts';
import { standards } from './clauses.ts';
import type { Version } from './wire.ts';

/** Where a case stands: `{name}.ts` below `platform/mqtt/src/conformance/cases`. */
const files: Readonly<Record<string, readonly Case[]>> = {
  connect: connectCases,
  ending: endingCases,
  publish: publishCases,
  quality: qualityCases,
  retained: retainedCases,
  session: sessionCases,
  shared: sharedCases,
  subscribe: subscribeCases,
  topics: topicCases,
  will: willCases,
};

/** `docs/api/mqtt-conformance.md`: clause by clause what holds, each with its tests. */
export function conformanceTable(): string {
  const parts = standards.map(({ title, version, clauses, otherwise }) => {
    const rows = Object.entries(clauses).map(([number, says]) => {
      return [numberInWords(number), says, 'holds', testsOf(number, version).join(', ')];
    });
    const table = tableOf(['Clause', 'What it says', '', 'Tests'], rows);
    return `## ${title}\n\n${table}\n\n${restOf(otherwise)}`;
  });
  const tests = Object.entries(files).flatMap(([file, cases]) => {
    return cases.map(({ says }, at) => [nameOf(file, at), says]);
  });
  return `# MQTT, clause by clause

What the broker keeps of the standards' normative statements, in our words; § marks what a standard demands without a number. Every test runs
against the MQTT room alone (\`platform/mqtt/src/conformance/conformance.net.test.ts\`) and against the broker on Kafka with
\`BROKER_TOPIC_POLICY=open\` (\`platform/broker/src/conformance.kafka.test.ts\`), there also with the clients of a test on different replicas.
A title in their output names the standard and the statements. The tests stand in
\`platform/mqtt/src/conformance/cases\`, one file for each of the names below. This page is made of them.
Clients that others wrote are tried too: mqtt.js throughout, and paho-mqtt (Python) in \`conformance.kafka.test.ts\`.

${parts.join('\n\n')}

## Tests

${tableOf(['Test', 'What it shows'], tests)}
`;
}

function numberInWords(number: string): string {
  return number.startsWith('§') ? number : `MQTT-${number}`;
}

function nameOf(file: string, at: number): string {
  return `${file} ${at + 1}`;
}

function testsOf(number: string, version: Version): string[] {
  return Object.entries(files).flatMap(([file, cases]) =>
    cases.flatMap(({ v3, v5 }, at) => {
      const numbers = ((version === 4 ? v3 : v5) ?? '').split(' ');
      return numbers.includes(number) ? [nameOf(file, at)] : [];
    }),
  );
}

function isClients([, { because }]: readonly [string, Otherwise]): boolean {
  return because === 'It binds clients.';
}

/** What has no test of the kit: by reason, clients' duties in one line. */
function restOf(otherwise: Otherwises): string {
  const all = Object.entries(otherwise);
  const clients = all.filter(isClients).map(([number]) => numberInWords(number));
  const rows = all
    .filter((each) => !isClients(each))
    .map(([number, { says, because }]) => [
      numberInWords(number),
      says,
      typeof because === 'string' ? because : `Holds: "${because.test}" in \`${because.file}\``,
    ]);
  const rest = tableOf(['Clause', 'What it says', 'Otherwise'], rows);
  return `${rest}\n\nBinding clients only: ${clients.join(', ')}.`;
}

/** Columns as wide as the formatter makes them. */
function tableOf(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = heads.map((_, column) =>
    Math.max(3, ...[heads, ...escaped].map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...escaped.map(line)].join(
    '\n',
  );
}

/** The lanes about MQTT, from what they wrote. */
import { z } from 'zod';
import { type Lane, percent, ratio, verdict, whole } from './lane-table.ts';

const ingestServer = z.object({
  messagesPerSecond: z.number(),
  lowest: z.number(),
  highest: z.number(),
  ackP50Ms: z.number(),
  ackP99Ms: z.number(),
  cpuSecondsPerMillion: z.number(),
});

const ingestReport = z.object({
  rounds: z.number(),
  pacedPerSecond: z.number(),
  load: z.object({
    connections: z.number(),
    window: z.number(),
    payloadBytes: z.number(),
  }),
  ours: ingestServer,
  bare: ingestServer,
  aedes: ingestServer,
  mosquitto: ingestServer,
  oursQos2: ingestServer,
  oursPaced: ingestServer,
  barePaced: ingestServer,
});

export function ingest(json: unknown): Lane {
  const read = ingestReport.parse(json);
  const { connections: clients, window, payloadBytes } = read.load;
  const paced = `${whole(read.pacedPerSecond)} messages/s`;
  const sides = [
    ['ours', read.ours],
    ['bare packet loop (floor)', read.bare],
    ['aedes, ack held back (rival)', read.aedes],
    ['mosquitto and a bridge to Kafka (rival)', read.mosquitto],
    ['ours, QoS 2', read.oursQos2],
    [`ours at ${paced}`, read.oursPaced],
    [`bare packet loop at ${paced}`, read.barePaced],
  ] as const;
  const share = (of: { messagesPerSecond: number }) =>
    read.ours.messagesPerSecond / of.messagesPerSecond;
  const qosTwo = 1 / share(read.oursQos2);
  const beyondBareMs = read.oursPaced.ackP99Ms - read.barePaced.ackP99Ms;
  return {
    title: 'ingest',
    about: `MQTT QoS 1, acked after Kafka has the message: one server on one core, Kafka and the load on the other. ${clients} connections with ${window} unacked messages of ${payloadBytes} bytes each; messages are counted in Kafka. The floor is a bare packet loop that parses, produces by the same producer and acks; the rivals are aedes with its ack held back until Kafka has answered, and what one would build of mosquitto and a program that carries to Kafka and acks to it only then (mosquitto itself acks publishers before). Medians of ${read.rounds} rounds by turns.`,
    table: [
      [
        '',
        'messages/s',
        'lowest to highest',
        'ack p50',
        'ack p99',
        'CPU s per million',
        'ours to it',
      ],
      ...sides.map(([name, one]) => [
        name,
        whole(one.messagesPerSecond),
        `${whole(one.lowest)} to ${whole(one.highest)}`,
        `${one.ackP50Ms} ms`,
        `${one.ackP99Ms} ms`,
        `${one.cpuSecondsPerMillion}`,
        ratio(read.ours.messagesPerSecond, one.messagesPerSecond),
      ]),
    ],
    verdicts: [
      verdict('80 % of the bare loop', share(read.bare) >= 0.8, percent(share(read.bare))),
      verdict('1.3 times aedes', share(read.aedes) >= 1.3, share(read.aedes).toFixed(2)),
      verdict(
        'twice mosquitto and a bridge',
        share(read.mosquitto) >= 2,
        share(read.mosquitto).toFixed(2),
      ),
      verdict('QoS 2 half of QoS 1', qosTwo >= 0.5, percent(qosTwo)),
      verdict(
        `an ack p99 at ${paced} of at most the bare loop's plus 10 ms`,
        beyondBareMs <= 10,
        `${read.oursPaced.ackP99Ms} ms beside ${read.barePaced.ackP99Ms} ms`,
      ),
    ],
  };
}

const idleServer = z.object({ connectsPerSecond: z.number(), bytesPerConnection: z.number() });

export function connections(json: unknown): Lane {
  const { rounds, clients, ours, bare } = z
    .object({ rounds: z.number(), clients: z.number(), ours: idleServer, bare: idleServer })
    .parse(json);
  const memory = ours.bytesPerConnection / bare.bytesPerConnection;
  const row = (name: string, one: z.output<typeof idleServer>) => [
    name,
    whole(one.connectsPerSecond),
    `${(one.bytesPerConnection / 1024).toFixed(1)} KiB`,
  ];
  return {
    title: 'connections',
    about: `${whole(clients)} clients connect with a password, over TCP without TLS, and then say nothing: how fast they connect, and what resident memory each takes. Ours claims each session in Kafka, so that it is one session in the whole cell; the floor is a bare packet loop that answers CONNACK. Server on one core, clients and Kafka on the other. Medians of ${rounds} rounds by turns.`,
    table: [
      ['', 'connects/s', 'memory a connection'],
      row('ours', ours),
      row('bare packet loop (floor)', bare),
    ],
    verdicts: [
      verdict('2,000 connects/s', ours.connectsPerSecond >= 2000, whole(ours.connectsPerSecond)),
      verdict('1.5 times the memory of the bare loop', memory <= 1.5, memory.toFixed(2)),
    ],
  };
}

const spread = z.object({ lastP50Ms: z.number(), lastP99Ms: z.number(), worstMs: z.number() });

export function fanOut(json: unknown): Lane {
  const { rounds, subscribers, messages, ours, mosquitto } = z
    .object({
      rounds: z.number(),
      subscribers: z.number(),
      messages: z.number(),
      ours: spread,
      mosquitto: spread,
    })
    .parse(json);
  const row = (name: string, one: z.output<typeof spread>) => [
    name,
    `${one.lastP50Ms} ms`,
    `${one.lastP99Ms} ms`,
    `${one.worstMs} ms`,
  ];
  return {
    title: 'fan-out',
    about: `One message to ${whole(subscribers)} subscribers, from its publication until the last of them has it. Ours goes through Kafka and is read from there; the rival is mosquitto, in memory. Server on one core, clients and Kafka on the other. ${messages} messages in each of ${rounds} rounds by turns, medians of the rounds.`,
    table: [
      ['', 'last one, p50', 'last one, p99', 'worst'],
      row('ours', ours),
      row('mosquitto (rival)', mosquitto),
    ],
    verdicts: [verdict('within 100 ms', ours.lastP99Ms <= 100, `p99 ${ours.lastP99Ms} ms`)],
  };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function replicaKilled(json: unknown): Lane {
  const read = z
    .object({
      rounds: z.number(),
      clients: z.number(),
      allBackMs: z.number(),
      worstMs: z.number(),
      medianMs: z.number(),
      sessionsLost: z.number(),
    })
    .parse(json);
  return {
    title: 'replica-killed',
    about: `Two brokers, ${whole(read.clients)} clients with sessions that stay and a QoS 1 subscription each. One broker is killed: how long until its clients are at the other one, with their sessions, and have a message that was published after the kill. ${read.rounds} rounds.`,
    table: [
      ['', 'median of rounds', 'worst round'],
      ['half of the clients', seconds(read.medianMs), ''],
      ['all clients', seconds(read.allBackMs), seconds(read.worstMs)],
    ],
    verdicts: [
      verdict('all in under 10 s', read.worstMs < 10_000, `${seconds(read.worstMs)} at worst`),
      verdict('no session lost', read.sessionsLost === 0, `${read.sessionsLost} lost`),
    ],
  };
}

export function chaos(json: unknown): Lane {
  const {
    seed,
    minutes,
    faults,
    kinds,
    verdict: counts,
  } = z
    .object({
      seed: z.number(),
      minutes: z.number(),
      faults: z.number(),
      kinds: z.record(z.string(), z.number()),
      verdict: z.record(z.string(), z.number()),
    })
    .parse(json);
  const count = (name: string) => whole(counts[name] ?? Number.NaN);
  return {
    title: 'chaos',
    command: `make chaos MINUTES=${minutes} SEED=${seed}`,
    about: `A cell with two brokers, two buildings of 40 devices behind links that can be broken, and ${faults} faults at random in ${minutes} minutes (seed ${seed}): ${Object.entries(
      kinds,
    )
      .map(([kind, times]) => `${kind} ${times}`)
      .join(', ')}. Then what was promised is compared with what independent readers find.`,
    table: [
      ['', 'count', 'must be'],
      ['readings acked to devices', count('acked'), ''],
      ['of them not in the landing zone', count('ackedMissing'), '0'],
      ['readings landed more than once', count('landedTwice'), '0'],
      ['readings out of their device’s order within a lane', count('ordersBroken'), '0'],
      ['commands accepted', count('commandsAccepted'), ''],
      ['of them applied', count('commandsApplied'), ''],
      ['commands without an end', count('commandsUnsettled'), '0'],
      ['commands that reached a device twice', count('appliedTwice'), '0'],
      ['commands said applied that no device heard', count('appliedUnheard'), '0'],
      ['commands said delivered that no gateway holds', count('deliveredUnheard'), '0'],
      ['readings missing by the account', count('accountMissing'), '0'],
      ['readings by which account and independent count differ', count('accountOff'), '0'],
    ],
    verdicts: [verdict('at least 60 faults', faults >= 60, `${faults}`)],
  };
}

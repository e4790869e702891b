import { timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { commandStatePayload } from '@domicile/core/command.ts';
import { deviceStatusPayload } from '@domicile/core/device-status.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import type { DeviceId } from '@domicile/core/identities.ts';
import {
  type Admission,
  type ConnectRequest,
  type InboundMessage,
  MqttDisconnect,
  type MqttOwner,
  type Subscription,
} from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { MqttServer } from '@domicile/mqtt/server.ts';
import type { LanRule } from '../../model/lan-rule-schema.ts';
import { LanRules, type LanWord } from '../../model/lan-rules.ts';
import type { Driver, DriverHost, Taken } from '../driver.ts';
import { portOf } from '../listen.ts';
import { type LanClient, type LanSession, Peer } from './lan-client.ts';
import { LanCommands } from './lan-commands.ts';
import { mayListen, mayOverhear, parseLanTopic } from './lan-topics.ts';
import { Relay } from './relay.ts';
import { Repeats } from './repeats.ts';
import { Retained } from './retained.ts';

export interface MqttDriverConfig {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** By user name; absent: whoever reaches the port may send. */
  readonly passwords?: Readonly<Record<string, string>> | undefined;
  /** How long a device may take to say what became of a command. */
  readonly answerTimeoutMs: number;
  readonly rules?: readonly LanRule[];
  readonly names?: Readonly<Record<string, string>>;
  /** Absent: `relay` with rules, else `refuse`. */
  readonly otherTopics?: 'refuse' | 'ignore' | 'relay' | undefined;
  /** Where retained messages are kept. */
  readonly directory: string;
}

const drainTimeoutMs = 5000;
/** A building has 5,000 devices at most; several may share a client. */
const lanLimits = { connectionsMax: 5000, sessionsMax: 10_000 };

/**
 * An MQTT broker on the LAN, 3.1.1 and 5. Devices publish to `v1/{building}/{device}/telemetry` or `{device}/telemetry`, or to topics
 * of their own that rules explain; a QoS 1 or 2 message is acked when it is on disk. Commands go to who subscribes to the
 * device's. What no rule explains is refused, ignored or relayed.
 */
export async function startMqttDriver(config: MqttDriverConfig, host: DriverHost): Promise<Driver> {
  const retained = await Retained.open(config.directory, host.now);
  const lan = new LanOwner(config, host, new Relay(retained, host));
  const mqtt = new MqttServer<LanClient, Socket>(lan, {
    limits: lanLimits,
    features: { sharedSubscriptions: false },
  });
  const listener = await host.listen('mqtt', config);
  listener.on('connection', (socket) => mqtt.serve(socket, socket));
  return {
    name: 'mqtt',
    port: portOf(listener),
    drives: (device) => lan.commands.drives(device),
    apply: (command) => lan.commands.apply(command),
    async [Symbol.asyncDispose]() {
      listener.close();
      lan.commands.close();
      await mqtt.drain(drainTimeoutMs);
      mqtt[Symbol.dispose]();
    },
  };
}

class LanOwner implements MqttOwner<LanClient, Socket> {
  readonly #config: MqttDriverConfig;
  readonly #host: DriverHost;
  readonly #clients = new Map<string, LanClient>();
  readonly #sessions = new Map<string, LanSession>();
  readonly #rules: LanRules;
  readonly #others: 'refuse' | 'ignore' | 'relay';
  readonly #relay: Relay;
  readonly #told = new Set<string>();
  readonly commands: LanCommands;

  constructor(config: MqttDriverConfig, host: DriverHost, relay: Relay) {
    const { rules = [], names, otherTopics, answerTimeoutMs } = config;
    this.#config = config;
    this.#host = host;
    this.#relay = relay;
    this.#rules = new LanRules(rules, names);
    this.#others = otherTopics ?? (rules.length > 0 ? 'relay' : 'refuse');
    this.commands = new LanCommands({
      building: host.building,
      rules: this.#rules,
      sessions: this.#sessions,
      answerTimeoutMs,
      now: host.now,
    });
  }

  async authenticate(request: ConnectRequest, socket: Socket): Promise<Admission<LanClient>> {
    if (!this.#isKnown(request))
      return { admitted: false, reasonCode: reason.badUserNameOrPassword };
    const { clientId: key } = request;
    const known = request.cleanStart ? undefined : this.#clients.get(key);
    const peer = new Peer(socket);
    const identity = known ?? { repeats: new Repeats(this.#host.now), peer, isElsewhere: false };
    identity.peer = peer;
    this.#clients.set(key, identity);
    return { admitted: true, key, identity };
  }

  #isKnown({ userName = '', password }: ConnectRequest): boolean {
    const { passwords } = this.#config;
    if (!passwords) return true;
    const expected = Object.hasOwn(passwords, userName) ? passwords[userName] : undefined;
    if (expected === undefined || password === undefined) return false;
    const wanted = Buffer.from(expected);
    return wanted.length === password.length && timingSafeEqual(wanted, password);
  }

  opened(session: LanSession): void {
    this.#sessions.set(session.key, session);
    if (session.subscriptions.size > 0) this.#host.reachable();
  }

  closed({ identity }: LanSession): void {
    identity.repeats.disconnected();
    identity.isElsewhere = identity.peer.isLedOver;
  }

  ended(session: LanSession): void {
    this.#relay.ended(session);
    if (this.#sessions.get(session.key) !== session) return;
    this.#sessions.delete(session.key);
    // Who began anew has another by now.
    if (this.#clients.get(session.key) === session.identity) this.#clients.delete(session.key);
  }

  async publish(session: LanSession, message: InboundMessage): Promise<number | undefined> {
    const { peer } = session.identity;
    if (peer.isLedOver && message.qos > 0) {
      // No ack can reach it, so it sends again, to whoever listens then.
      await peer.gone;
      throw new MqttDisconnect(reason.serverShuttingDown, 'Cannot take it: the connection ends');
    }
    const code = await this.#take(session, message);
    if (code !== undefined) this.#refused(`0x${code.toString(16)}`);
    return code;
  }

  #refused(code: string): void {
    this.#host.events.readingRefused('mqtt', code);
  }

  async #take(session: LanSession, message: InboundMessage): Promise<number | undefined> {
    const topic = parseLanTopic(message.topic, this.#host.building);
    if (!topic) return this.#takeOther(session, message);
    if (topic.building !== this.#host.building) return reason.notAuthorized;
    switch (topic.kind) {
      case 'telemetry':
      case 'backfill': {
        const { device, kind } = topic;
        const { payload } = message;
        return this.#keep(session, message, [{ device, payload, history: kind === 'backfill' }]);
      }
      case 'status':
        return this.#status(topic.device, message);
      case 'command-state':
        return this.#answer(topic.command, message);
      case 'account':
      case 'command':
      default:
        return reason.notAuthorized;
    }
  }

  /** Topics that are not the platform's: what rules say, then whoever else listens. */
  async #takeOther(session: LanSession, message: InboundMessage): Promise<number | undefined> {
    if (message.topic.startsWith('v1/')) return reason.topicNameInvalid;
    const words = this.#rules.read(message.topic, message.payload);
    if (words.length === 0 && this.#others === 'refuse') return reason.topicNameInvalid;
    const taken: Taken[] = [];
    for (const word of words)
      if (word.device === undefined) this.#complain(word.rule, word.fault);
      else taken.push(...this.#understood(word, message));
    const code = taken.length === 0 ? undefined : await this.#keep(session, message, taken);
    if (code !== undefined || this.#others !== 'relay') return code;
    return this.#relay.take(session, message);
  }

  #understood(word: LanWord, { payload }: InboundMessage): Taken[] {
    const { rule, device, reading, status, unreadable = false, faults } = word;
    for (const fault of faults) this.#complain(rule, fault);
    if (status) this.#host.status(device, status);
    if (unreadable) return [{ device, payload }];
    if (!reading) return [];
    this.commands.reported(device, reading.values);
    return [{ device, payload: Buffer.from(JSON.stringify(reading)) }];
  }

  /** Counted each time, told once: a device repeats itself. */
  #complain(rule: number, fault: string): void {
    this.#refused('rule');
    const where = `drivers.mqtt.rules[${rule}]`;
    if (this.#told.has(`${where} ${fault}`)) return;
    this.#told.add(`${where} ${fault}`);
    this.#host.log.warn({ where, fault }, 'A message does not fit its rule');
  }

  async #keep(
    { identity }: LanSession,
    { payload, packetId, dup }: InboundMessage,
    taken: readonly Taken[],
  ): Promise<number | undefined> {
    const { events } = this.#host;
    const keep = () => this.#host.take(taken);
    try {
      if (packetId === undefined) await keep();
      else if ((await identity.repeats.once({ packetId, dup, payload }, keep)) === 'repeated')
        return undefined;
      events.readingTaken('mqtt', taken.length);
      return undefined;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      const { mqttReasonCode } = error.decision;
      // A PUBACK has no such word (MQTT 5, section 3.4.2.1); a DISCONNECT has.
      if (mqttReasonCode === reason.packetTooLarge)
        throw new MqttDisconnect(mqttReasonCode, error.message, { cause: error });
      return mqttReasonCode;
    }
  }

  #status(device: DeviceId, { payload }: InboundMessage): number | undefined {
    const status = deviceStatusPayload.safeParse(jsonOf(payload));
    if (!status.success) return reason.implementationSpecific;
    this.#host.status(device, status.data.state);
    return undefined;
  }

  #answer(id: string, { payload }: InboundMessage): number | undefined {
    const answer = commandStatePayload.safeParse(jsonOf(payload));
    if (!answer.success) return reason.implementationSpecific;
    const { state, reason: why = 'the device gave no reason' } = answer.data;
    if (state === 'applied') this.commands.answered(id, { state });
    else if (state === 'failed') this.commands.answered(id, { state, reason: why });
    return undefined;
  }

  will(session: LanSession, message: InboundMessage): void {
    if (session.identity.isElsewhere) return;
    // Nobody waits for a will's ack; what cannot be kept is counted.
    void this.publish(session, message).catch(() => undefined);
  }

  subscribe(_session: LanSession, { filter, share, qos }: Subscription): number {
    if (share !== undefined) return reason.sharedSubscriptionsUnsupported;
    if (mayListen(filter, this.#host.building)) return qos;
    const isOther = this.#others === 'relay' && mayOverhear(filter);
    return isOther || this.#isCommandTopic(filter) ? qos : reason.notAuthorized;
  }

  /** Devices of rules listen for their commands wherever other topics are not relayed. */
  #isCommandTopic(filter: string): boolean {
    return (this.#config.rules?.length ?? 0) > 0 && mayOverhear(filter);
  }

  subscribed(session: LanSession, subscription: Subscription, isNew: boolean): void {
    this.#host.reachable();
    if (this.#others === 'relay') this.#relay.subscribed(session, subscription, isNew);
  }
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString());
  } catch {
    return undefined;
  }
}

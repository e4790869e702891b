/** Every bound of a server, with its unit. Bytes of a packet count its fixed header too. */
export interface MqttLimits {
  readonly packetBytesMax: number;
  /** Before a CONNECT was accepted. */
  readonly connectBytesMax: number;
  readonly connectTimeoutMs: number;
  /** From the first byte of a packet to its last; time in which we do not read is not counted. */
  readonly packetTimeoutMs: number;
  /** Of one connection in one turn of the loop: then the others have theirs. */
  readonly packetsPerTurnMax: number;
  readonly connectionsMax: number;
  /** Sessions kept, connected or not. */
  readonly sessionsMax: number;
  readonly sessionExpirySecondsMax: number;
  readonly willDelaySecondsMax: number;
  /** Asked of MQTT 5 clients that name none or more; 0 in 3.1.1 stays 0. */
  readonly keepAliveSecondsMax: number;
  readonly clientIdBytesMax: number;
  readonly topicLevelsMax: number;
  /** Aliases that a client may use, and that we use with one that offers as many. */
  readonly topicAliasMax: number;
  readonly subscriptionsMax: number;
  /**
   * What an MQTT 5 client is told; who has more QoS 1 and 2 publishes in flight is disconnected. Many clients do not
   * keep to it, so the default leaves the bound to `inFlightMax`.
   */
  readonly receiveMaximum: number;
  /** Unsettled or unacked publishes of a connection; above it nothing is read from it. */
  readonly inFlightMax: number;
  /** Bytes of a connection that the owner has not settled; above it nothing is read from it. */
  readonly inFlightBytesMax: number;
  /** The same for all connections together: what a hanging owner may cost in memory. */
  readonly totalInFlightBytesMax: number;
  /** Taken QoS 2 ids of a session. A client that sends many at once releases none before all are acked. */
  readonly qosTwoIdsMax: number;
  /** Unacked QoS 1 messages to a client, if it allows so many. */
  readonly outboundInFlightMax: number;
  readonly outboundQueuedMax: number;
  readonly outboundQueuedBytesMax: number;
  /** Written but not taken by the socket; above it nothing more is sent or read. */
  readonly writeBufferBytesMax: number;
  /** A client that takes nothing for so long is disconnected. */
  readonly writeStallTimeoutMs: number;
}

export const defaultLimits: MqttLimits = Object.freeze({
  packetBytesMax: 262_144,
  connectBytesMax: 65_536,
  connectTimeoutMs: 10_000,
  packetTimeoutMs: 60_000,
  packetsPerTurnMax: 100,
  connectionsMax: 20_000,
  sessionsMax: 100_000,
  sessionExpirySecondsMax: 86_400,
  willDelaySecondsMax: 300,
  keepAliveSecondsMax: 300,
  clientIdBytesMax: 256,
  topicLevelsMax: 16,
  topicAliasMax: 32,
  subscriptionsMax: 64,
  receiveMaximum: 65_535,
  inFlightMax: 1000,
  inFlightBytesMax: 4_194_304,
  totalInFlightBytesMax: 67_108_864,
  qosTwoIdsMax: 65_535,
  outboundInFlightMax: 64,
  outboundQueuedMax: 1000,
  outboundQueuedBytesMax: 4_194_304,
  writeBufferBytesMax: 262_144,
  writeStallTimeoutMs: 30_000,
});

/** What of the standard is served; MQTT 5 clients are told so at CONNECT (section 3.2.2.3). */
export interface MqttFeatures {
  readonly qosMax: 0 | 1 | 2;
  readonly retain: boolean;
  readonly wildcardSubscriptions: boolean;
  readonly sharedSubscriptions: boolean;
  readonly subscriptionIdentifiers: boolean;
}

export const allFeatures: MqttFeatures = Object.freeze({
  qosMax: 2,
  retain: true,
  wildcardSubscriptions: true,
  sharedSubscriptions: true,
  subscriptionIdentifiers: true,
});

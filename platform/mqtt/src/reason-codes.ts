/** MQTT 5, section 2.4: reason codes. */
export const reason = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdInvalid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdInUse: 0x91,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsUnsupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersUnsupported: 0xa1,
  wildcardSubscriptionsUnsupported: 0xa2,
} as const;

/** From here on a reason code means failure. */
export const failureFrom = 0x80;

/** What a client may say with DISCONNECT (section 3.14.2.1); the others are a server's. */
export const disconnectCodes: ReadonlySet<number> = new Set<number>([
  reason.success,
  reason.disconnectWithWill,
  reason.unspecified,
  reason.malformedPacket,
  reason.protocolError,
  reason.implementationSpecific,
  reason.topicNameInvalid,
  reason.receiveMaximumExceeded,
  reason.topicAliasInvalid,
  reason.packetTooLarge,
  reason.messageRateTooHigh,
  reason.quotaExceeded,
  reason.administrativeAction,
  reason.payloadFormatInvalid,
]);

const returnCodes: Readonly<Record<number, number>> = {
  [reason.success]: 0,
  [reason.unsupportedProtocolVersion]: 1,
  [reason.clientIdInvalid]: 2,
  [reason.badUserNameOrPassword]: 4,
  [reason.notAuthorized]: 5,
  [reason.badAuthenticationMethod]: 5,
};

/** MQTT 3.1.1, section 3.2.2.3; what it has no word for is "server unavailable". */
export function connectReturnCode(reasonCode: number): number {
  return returnCodes[reasonCode] ?? 3;
}

const words = new Map<number, string>(
  Object.entries(reason).map(([name, code]) => [
    code,
    name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
  ]),
);

/** The code in plain words: "session taken over". */
export function reasonWords(reasonCode: number): string | undefined {
  return words.get(reasonCode);
}

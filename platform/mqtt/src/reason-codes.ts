/** MQTT 5, section 2.4: the codes that this room sends or reads. */
export const reason = {
  success: 0x00,
  disconnectWithWill: 0x04,
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
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  retainNotSupported: 0x9a,
  sharedSubscriptionsUnsupported: 0x9e,
} as const;

/** From here on a reason code means failure. */
export const failureFrom = 0x80;

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

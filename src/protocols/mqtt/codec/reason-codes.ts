/**
 * Reason codes of MQTT 5 (section 2.4) and the CONNACK return codes of 3.x, one row each: name,
 * code, and the return code that says the same to a 3.x client (CONNACK only).
 */

interface ReasonRow {
  readonly code: number;
  readonly sentence: string;
  /**
   * CONNACK return code of MQTT 3.1 and 3.1.1; 3 (server unavailable) where nothing fits better.
   */
  readonly connack3: number;
}

const row = (code: number, sentence: string, connack3 = 3): ReasonRow => ({
  code,
  sentence,
  connack3,
});

const ROWS = {
  success: row(0x00, 'Success', 0),
  grantedQos1: row(0x01, 'Granted QoS 1', 0),
  grantedQos2: row(0x02, 'Granted QoS 2', 0),
  disconnectWithWill: row(0x04, 'Disconnect with will message', 0),
  noMatchingSubscribers: row(0x10, 'No matching subscribers', 0),
  noSubscriptionExisted: row(0x11, 'No subscription existed', 0),
  continueAuthentication: row(0x18, 'Continue authentication', 0),
  reAuthenticate: row(0x19, 'Re-authenticate', 0),
  unspecifiedError: row(0x80, 'Unspecified error'),
  malformedPacket: row(0x81, 'Malformed packet'),
  protocolError: row(0x82, 'Protocol error'),
  implementationError: row(0x83, 'Implementation specific error'),
  unsupportedVersion: row(0x84, 'Unsupported protocol version', 1),
  clientIdNotValid: row(0x85, 'Client identifier not valid', 2),
  badUserNameOrPassword: row(0x86, 'Bad user name or password', 4),
  notAuthorized: row(0x87, 'Not authorized', 5),
  serverUnavailable: row(0x88, 'Server unavailable'),
  serverBusy: row(0x89, 'Server busy'),
  banned: row(0x8a, 'Banned', 5),
  serverShuttingDown: row(0x8b, 'Server shutting down'),
  badAuthenticationMethod: row(0x8c, 'Bad authentication method', 5),
  keepAliveTimeout: row(0x8d, 'Keep alive timeout'),
  sessionTakenOver: row(0x8e, 'Session taken over'),
  topicFilterInvalid: row(0x8f, 'Topic filter invalid'),
  topicNameInvalid: row(0x90, 'Topic name invalid'),
  packetIdInUse: row(0x91, 'Packet identifier in use'),
  packetIdNotFound: row(0x92, 'Packet identifier not found'),
  receiveMaximumExceeded: row(0x93, 'Receive maximum exceeded'),
  topicAliasInvalid: row(0x94, 'Topic alias invalid'),
  packetTooLarge: row(0x95, 'Packet too large'),
  messageRateTooHigh: row(0x96, 'Message rate too high'),
  quotaExceeded: row(0x97, 'Quota exceeded'),
  administrativeAction: row(0x98, 'Administrative action'),
  payloadFormatInvalid: row(0x99, 'Payload format invalid'),
  retainNotSupported: row(0x9a, 'Retain not supported'),
  qosNotSupported: row(0x9b, 'QoS not supported'),
  useAnotherServer: row(0x9c, 'Use another server'),
  serverMoved: row(0x9d, 'Server moved'),
  sharedNotSupported: row(0x9e, 'Shared subscriptions not supported'),
  connectionRateExceeded: row(0x9f, 'Connection rate exceeded'),
  maximumConnectTime: row(0xa0, 'Maximum connect time'),
  subscriptionIdsNotSupported: row(0xa1, 'Subscription identifiers not supported'),
  wildcardsNotSupported: row(0xa2, 'Wildcard subscriptions not supported'),
} as const satisfies Record<string, ReasonRow>;

type ReasonName = keyof typeof ROWS;

/** Code by name: `REASON.packetTooLarge` is 0x95. */
export const REASON = Object.fromEntries(
  Object.entries(ROWS).map(([name, { code }]) => [name, code]),
) as { readonly [Name in ReasonName]: (typeof ROWS)[Name]['code'] };

const BY_CODE = new Map<number, ReasonRow>(Object.values(ROWS).map((each) => [each.code, each]));

export function reasonSentence(code: number): string {
  return BY_CODE.get(code)?.sentence ?? `Reason ${code}`;
}

/** What a 3.x client is told in CONNACK instead of a version 5 reason code. */
export function connackReturnCode(code: number): number {
  return BY_CODE.get(code)?.connack3 ?? 3;
}

const codes = (...names: ReasonName[]): ReadonlySet<number> =>
  new Set(names.map((name) => ROWS[name].code));

/** Reason codes that a client may put into PUBACK and PUBREC (3.4.2.1, 3.5.2.1). */
export const PUBACK_REASONS = codes(
  'success',
  'noMatchingSubscribers',
  'unspecifiedError',
  'implementationError',
  'notAuthorized',
  'topicNameInvalid',
  'packetIdInUse',
  'quotaExceeded',
  'payloadFormatInvalid',
);

/** Reason codes of PUBREL and PUBCOMP (3.6.2.1, 3.7.2.1). */
export const PUBREL_REASONS = codes('success', 'packetIdNotFound');

/** Reason codes of AUTH (3.15.2.1) [MQTT-3.15.2-1]. */
export const AUTH_REASONS = codes('success', 'continueAuthentication', 'reAuthenticate');

/** Reason codes that a client may put into DISCONNECT (table 3-13). */
export const CLIENT_DISCONNECT_REASONS = codes(
  'success',
  'disconnectWithWill',
  'unspecifiedError',
  'malformedPacket',
  'protocolError',
  'implementationError',
  'topicNameInvalid',
  'receiveMaximumExceeded',
  'topicAliasInvalid',
  'packetTooLarge',
  'messageRateTooHigh',
  'quotaExceeded',
  'administrativeAction',
  'payloadFormatInvalid',
);

/** How a client hears that it has to leave: the reason code of MQTT 5, and where to go instead. */
import type { Eviction } from '#contract';
import { encodeDisconnect, REASON } from './codec/index.ts';
import type { Link } from './connection.ts';

const DISCONNECT = 14;

/** For DISCONNECT, which has no code for a ban (3.14.2.1). */
const REASONS: Readonly<Record<Eviction['why'], number>> = {
  drain: REASON.serverShuttingDown,
  banned: REASON.administrativeAction,
  kicked: REASON.administrativeAction,
  'message-rate': REASON.messageRateTooHigh,
  'byte-rate': REASON.quotaExceeded,
  'connect-rate': REASON.connectionRateExceeded,
  connections: REASON.quotaExceeded,
};

/** For CONNACK (3.2.2.2). */
const REFUSALS: Readonly<Record<Eviction['why'], number>> = {
  drain: REASON.serverUnavailable,
  banned: REASON.banned,
  kicked: REASON.notAuthorized,
  'message-rate': REASON.quotaExceeded,
  'byte-rate': REASON.quotaExceeded,
  'connect-rate': REASON.connectionRateExceeded,
  connections: REASON.quotaExceeded,
};

/** Answers the CONNECT of a client that may not come in. */
export function refuseEntry(link: Link, { why, text }: Eviction): void {
  link.refuse(REFUSALS[why], text);
}

export function evict(link: Link, { why, text, reference }: Eviction): void {
  if (link.state === 'closed' || link.state === 'leaving') return;
  if (link.state === 'waiting') {
    // It hears why when it has sent CONNECT; for one that leaves it is too late to wait for that.
    if (why === 'connect-rate' || why === 'connections') {
      link.unwelcome = { why, text, reference };
    } else link.cut(text);
    return;
  }
  // 4.11: only who is told of another server can use it.
  const reason = reference === null ? REASONS[why] : REASON.useAnotherServer;
  if (link.state !== 'open') link.refuse(REFUSALS[why], text);
  else if (reference === null || link.version !== 5) link.leave(reason, text);
  else {
    const properties = link.withReason(DISCONNECT, text, { serverReference: reference });
    link.endReason = reason;
    link.output.append(encodeDisconnect({ reason, properties }, 5));
    link.finish();
    link.detach(true);
  }
}

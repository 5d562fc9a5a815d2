/** Any thrown value as this protocol tells it; a mistake of ours is 541, and loud in the log. */
import { BrokerError, type Log, ProtocolError } from '#kit';
import { AmqpError, amqpError, REPLY, type ReplyCode } from './errors.ts';

const SYNTAX_ERROR: ReplyCode = 502;

export function failureOf(error: unknown, log: Log): AmqpError {
  if (error instanceof AmqpError) return error;
  if (error instanceof ProtocolError) {
    const { field, at, message, wireCode } = error;
    log.info('malformed input', { field, at, reason: message });
    const replyCode = isReplyCode(wireCode) ? wireCode : SYNTAX_ERROR;
    return new AmqpError(replyCode, `${field} at byte ${at} is not valid`, true);
  }
  if (error instanceof BrokerError) return amqpError(error);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error('internal error', { stack });
  return new AmqpError(541, 'internal error', true);
}

function isReplyCode(code: number | undefined): code is ReplyCode {
  return code !== undefined && Object.hasOwn(REPLY, code);
}

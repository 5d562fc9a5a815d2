/** SaslHandshake and SaslAuthenticate: PLAIN against the broker's users. */
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { saslHandshake } from '../messages/17-sasl-handshake.ts';
import { saslAuthenticate } from '../messages/36-sasl-authenticate.ts';
import { answers } from '../operation.ts';
import { authenticate, MECHANISMS } from '../sasl.ts';

const NO_BYTES = Buffer.alloc(0);

export const saslHandshakeOperation = answers(saslHandshake, ({ mechanism }, call) => {
  if (call.session.sasl.handshake(mechanism, call.version)) {
    return { errorCode: KAFKA.NONE, mechanisms: MECHANISMS };
  }
  call.session.endAfterAnswers();
  return { errorCode: KAFKA.UNSUPPORTED_SASL_MECHANISM, mechanisms: MECHANISMS };
});

export const saslAuthenticateOperation = answers(saslAuthenticate, async ({ authBytes }, call) => {
  if (!call.session.sasl.takeTurn()) {
    return refusal(call, KAFKA.ILLEGAL_SASL_STATE, 'SaslHandshake comes first');
  }
  const reason = await authenticate(authBytes, call.session);
  if (reason !== null) return refusal(call, KAFKA.SASL_AUTHENTICATION_FAILED, reason);
  return { errorCode: KAFKA.NONE, errorMessage: null, authBytes: NO_BYTES };
});

function refusal(call: Call<typeof saslAuthenticate>, errorCode: number, errorMessage: string) {
  // The answer goes out first, so that the client can tell a wrong password from a lost network.
  call.session.endAfterAnswers();
  return { errorCode, errorMessage, authBytes: NO_BYTES };
}

/** SaslHandshake and SaslAuthenticate. */
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { saslHandshake } from '../messages/17-sasl-handshake.ts';
import { saslAuthenticate } from '../messages/36-sasl-authenticate.ts';
import { answers, answersLater } from '../operation.ts';
import { mechanismsOf } from '../sasl.ts';

const NO_BYTES = Buffer.alloc(0);

export const saslHandshakeOperation = answers(saslHandshake, ({ mechanism }, call, room) => {
  const mechanisms = mechanismsOf(room);
  if (call.session.sasl.handshake(mechanism, call.version, room)) {
    return { errorCode: KAFKA.NONE, mechanisms };
  }
  call.session.endAfterAnswers();
  return { errorCode: KAFKA.UNSUPPORTED_SASL_MECHANISM, mechanisms };
});

export const saslAuthenticateOperation = answersLater(
  saslAuthenticate,
  ({ authBytes }, call, room) => {
    const { session } = call;
    const { sasl } = session;
    if (!sasl.awaitsToken) {
      refuse(call, KAFKA.ILLEGAL_SASL_STATE, 'SaslHandshake comes first');
      return;
    }
    sasl.token(Buffer.from(authBytes), session).then(
      (answer) => {
        if (answer.refusal === null) {
          const sessionLifetimeMs = sasl.lifetimeMs;
          const { bytes } = answer;
          const body = { errorCode: KAFKA.NONE, errorMessage: null, authBytes: bytes };
          call.answer({ ...body, sessionLifetimeMs });
          return;
        }
        // Who guesses has to wait for each answer.
        const { refusal } = answer;
        const timer = room.host.timers.after(room.options.failedAuthenticationDelay, () =>
          refuse(call, KAFKA.SASL_AUTHENTICATION_FAILED, refusal),
        );
        call.onClosed = () => timer.cancel();
      },
      (error: unknown) => session.crash(error),
    );
  },
);

function refuse(
  call: Call<typeof saslAuthenticate>,
  errorCode: number,
  errorMessage: string,
): void {
  // The answer goes out first, so that the client can tell a wrong password from a lost network.
  call.session.endAfterAnswers();
  call.answer({ errorCode, errorMessage, authBytes: NO_BYTES });
}

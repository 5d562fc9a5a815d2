/** InitProducerId: ids for idempotent producers. Transactions are answered with a plain refusal. */
import { BrokerError } from '#kit';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { initProducerId } from '../messages/22-init-producer-id.ts';
import { answers } from '../operation.ts';

const NO_PRODUCER = { producerId: -1, producerEpoch: -1 };

export const initProducerIdOperation = answers(initProducerId, async (request, _call, room) => {
  if (request.transactionalId !== null) {
    // The one refusal that clients take as final; on most others they try for minutes.
    return { errorCode: KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ...NO_PRODUCER };
  }
  try {
    // An idempotent producer that lost track raises its epoch itself (KIP-360): it asks for a new
    // id here, whatever id it names.
    const producerId = await room.broker.producerIds.next();
    return { errorCode: KAFKA.NONE, producerId, producerEpoch: 0 };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { errorCode: wireCode(error), ...NO_PRODUCER };
  }
});

/** GetTelemetrySubscriptions and PushTelemetry: between the wire and `telemetry/` (KIP-714). */
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { getTelemetrySubscriptions } from '../messages/71-get-telemetry-subscriptions.ts';
import { pushTelemetry } from '../messages/72-push-telemetry.ts';
import { answers } from '../operation.ts';
import { shortText } from '../short-text.ts';
import type { ClientFacts } from '../telemetry/client-metrics-configs.ts';
import { ACCEPTED_CODECS } from '../telemetry/client-telemetry.ts';

/** What is kept, and compared with subscriptions, of a client's name for itself. */
const CLIENT_ID_CHARACTERS_MAX = 256;

export const getTelemetryOperation = answers(
  getTelemetrySubscriptions,
  ({ clientInstanceId }, call, room) => {
    const told = room.telemetry.subscribe(clientInstanceId, (id) => factsOf(id, call));
    if (typeof told === 'number') {
      return { errorCode: told, acceptedCompressionTypes: [], requestedMetrics: [] };
    }
    return {
      errorCode: KAFKA.NONE,
      clientInstanceId: told.id,
      subscriptionId: told.subscriptionId,
      acceptedCompressionTypes: ACCEPTED_CODECS,
      pushIntervalMs: told.asked.intervalMs,
      telemetryMaxBytes: room.options.telemetryBytesMax,
      deltaTemporality: true,
      requestedMetrics: told.asked.metrics,
    };
  },
);

export const pushTelemetryOperation = answers(pushTelemetry, (request, call, room) => ({
  errorCode: room.telemetry.push(request, (id) => factsOf(id, call)),
}));

/** What a client is chosen by, in KIP-714's words. */
function factsOf(id: string, { clientId, session }: Pick<Call, 'clientId' | 'session'>) {
  const { software, connection } = session;
  return {
    client_instance_id: id,
    client_id: shortText(clientId, CLIENT_ID_CHARACTERS_MAX),
    client_software_name: software.name,
    client_software_version: software.version,
    client_source_address: connection.peer.address,
    client_source_port: String(connection.peer.port),
  } satisfies ClientFacts;
}

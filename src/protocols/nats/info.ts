/** The INFO line (N1): what the server says of itself, first of all and whenever it changes. */

/**
 * The protocol version that we speak, in the numbering of nats-server: clients parse it and switch
 * features on by it. Headers came with 2.2, and nothing here lacks what 2.12 has in core NATS.
 */
const NATS_VERSION = '2.12.0';
const PROTOCOL_INFO = 1;

export interface InfoFacts {
  readonly serverId: string;
  readonly serverName: string;
  readonly host: string;
  readonly port: number;
  readonly clientId: number;
  readonly clientIp: string;
  readonly payloadBytesMax: number;
  readonly authRequired: boolean;
  readonly tlsRequired: boolean;
  readonly tlsAvailable: boolean;
  readonly lameDuck: boolean;
}

export function infoLine(facts: InfoFacts): Buffer {
  const info = {
    server_id: facts.serverId,
    server_name: facts.serverName,
    version: NATS_VERSION,
    proto: PROTOCOL_INFO,
    // Clients expect the name of a runtime here, whatever the runtime.
    go: `node${process.versions.node}`,
    host: facts.host,
    port: facts.port,
    headers: true,
    auth_required: facts.authRequired,
    tls_required: facts.tlsRequired,
    tls_available: facts.tlsAvailable,
    tls_verify: false,
    max_payload: facts.payloadBytesMax,
    jetstream: false,
    client_id: facts.clientId,
    client_ip: facts.clientIp,
    // Absent means no: some clients take any value as a sign.
    ...(facts.lameDuck ? { ldm: true } : {}),
  };
  return Buffer.from(`INFO ${JSON.stringify(info)} \r\n`);
}

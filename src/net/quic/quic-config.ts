/** What a QUIC listener agrees to, made from its settings and certificate. */
import { BrokerError } from '#kit';
import type { ListenerSettings } from '../net-options.ts';
import type { TlsKeys } from '../tls/tls-keys.ts';
import type { Quiche, QuicheConfig } from './quiche.ts';

/** Fits into every path that QUIC may use, and most have more. */
export const DATAGRAM_BYTES_MAX = 1350;
const STREAM_WINDOW_BYTES = 256 * 1024;
const STREAM_WINDOW_BYTES_MAX = 1 << 20;
const CONNECTION_WINDOW_BYTES = 1 << 20;
const CONNECTION_WINDOW_BYTES_MAX = 4 << 20;
/** Ids that a client may hold in reserve: with each it can move to another path. */
const CONNECTION_IDS = 4;

/** @throws BrokerError `bad-configuration` for what QUIC has no way to do here */
export function checkQuic(name: string, settings: ListenerSettings, keys: TlsKeys): void {
  const cannot =
    keys.clients === 'optional'
      ? 'verify = "optional"'
      : settings.crl !== ''
        ? 'crl'
        : settings.ocsp.length > 0
          ? 'ocsp'
          : settings.ciphers !== ''
            ? 'ciphers'
            : settings.proxy
              ? 'proxy'
              : null;
  if (cannot === null) return;
  const what = `listeners.${name}: a quic listener cannot have ${cannot}.`;
  throw new BrokerError('bad-configuration', what);
}

export function quicConfig(
  quiche: Quiche,
  keys: TlsKeys,
  limits: { readonly alpn: readonly string[]; readonly idleMs: number; readonly streams: number },
): QuicheConfig {
  const { cert, key, ca } = keys.first.material as { cert: Buffer; key: Buffer; ca?: Buffer };
  const verify = keys.clients === 'required';
  const config = quiche.Config.withBoringSslCtx(verify, false, ca ?? null, [key], [cert], null);
  config.setApplicationProtos([...limits.alpn]);
  config.setMaxIdleTimeout(limits.idleMs);
  config.setMaxRecvUdpPayloadSize(DATAGRAM_BYTES_MAX);
  config.setMaxSendUdpPayloadSize(DATAGRAM_BYTES_MAX);
  config.setInitialMaxData(CONNECTION_WINDOW_BYTES);
  config.setMaxConnectionWindow(CONNECTION_WINDOW_BYTES_MAX);
  config.setInitialMaxStreamDataBidiRemote(STREAM_WINDOW_BYTES);
  config.setInitialMaxStreamDataBidiLocal(STREAM_WINDOW_BYTES);
  config.setInitialMaxStreamDataUni(0);
  config.setMaxStreamWindow(STREAM_WINDOW_BYTES_MAX);
  config.setInitialMaxStreamsBidi(limits.streams);
  config.setInitialMaxStreamsUni(0);
  config.setActiveConnectionIdLimit(CONNECTION_IDS);
  config.setDisableActiveMigration(false);
  // Datagrams of a turn leave together; the kernel's queue is the pace.
  config.enablePacing(false);
  return config;
}

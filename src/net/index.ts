/**
 * net: listeners for TCP, TLS, WebSocket and QUIC that hand each client to its protocol as a
 * `Connection`. It knows no protocol: what comes in and out are bytes. Who may come in, how many,
 * and how fast is decided here; what clients may say is not.
 */
export { isLoopback, type ListenAddress, parseListen, showAddress } from './address.ts';
export type { Admission } from './admission.ts';
export type { Ban } from './bans/ban.ts';
export { BanList } from './bans/ban-list.ts';
export { Gatekeeper } from './bans/gatekeeper.ts';
export type { Guest, ListenersContext } from './doorway.ts';
export { type HostHeaders, hostRefusal } from './host-check.ts';
export { Listeners } from './listeners.ts';
export { LISTENER_OPTIONS, type ListenerSettings, NET_OPTIONS } from './net-options.ts';
export type { Network, OpenListener } from './network.ts';
export { TlsKeyRing } from './tls/tls-keys.ts';
export { TLS_OPTIONS } from './tls-options.ts';
export { type Flushable, Turn } from './turn.ts';

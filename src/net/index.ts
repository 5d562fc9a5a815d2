/**
 * net: listeners for TCP, TLS and WebSocket that hand each client to its protocol as `Connection`.
 * It knows no protocol: what comes in and out are bytes. Limits on connections live here, limits on
 * what clients say do not.
 */
export { isLoopback, type ListenAddress, parseListen, showAddress } from './address.ts';
export { type Certificate, loadCertificate } from './certificate.ts';
export { type HostHeaders, hostRefusal } from './host-check.ts';
export { Listeners, type ListenersContext } from './listeners.ts';
export { NET_OPTIONS, TLS_OPTIONS } from './net-options.ts';
export type { Network, OpenListener } from './network.ts';
export { type Flushable, Turn } from './turn.ts';

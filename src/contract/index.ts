/**
 * contract: what a protocol must be and what it is given. Types only; read this before writing a
 * protocol. `net` and the protocols do not know each other: they meet here.
 */
export type {
  Client,
  Connection,
  ConnectionHandler,
  Eviction,
  ListenerTerms,
  Peer,
  PeerIdentity,
  SideStream,
  SideStreamHandler,
} from './connection.ts';
export type { ListenerPlan, Transport } from './listener.ts';
export type {
  Action,
  ActionCall,
  ActionReply,
  Host,
  Instance,
  Protocol,
  ResourceRow,
} from './protocol.ts';

/**
 * cli: `robust-ctl`, one command per file. It knows the server only by its admin API over HTTP, so
 * it works against any server that it can reach.
 */
export { AdminError } from './admin-client.ts';
export { ctlProgram } from './program.ts';

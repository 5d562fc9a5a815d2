/**
 * server: the only room that knows everybody: options, build, start, stop. Programs and tests start
 * a server in their own process with `startServer`; `main.ts` is the command line.
 */
export { openLog } from './log.ts';
export { loadSettings } from './options/load-settings.ts';
export { type Option, OptionSchema } from './options/option-schema.ts';
export { type Setting, Settings } from './options/settings.ts';
export type { RunningServer } from './running-server.ts';
export { freePorts, serverSchema } from './schema.ts';
export { type StartOptions, startServer } from './start-server.ts';

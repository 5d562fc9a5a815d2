/**
 * Flags of the JavaScript engine that a broker needs, set before anything else is loaded. The bytes
 * of a broker lie in buffers outside of the heap; by default every few megabytes of them force a
 * full collection (one each 70 ms during a catch-up fetch, a third of the time). Counted as part of
 * the global limit they do not: measured, fetch is 1.5 to 2.5 times as fast, large produces 1.7
 * times, for some tens of megabytes of resident memory under load. See docs/decisions/0008.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--external-memory-accounted-in-global-limit');

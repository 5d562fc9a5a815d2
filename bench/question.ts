/** The shape of one question of the benchmark: which load, in which sizes, against whom. */

import type { LoadSpec } from './load/spec.ts';
import type { Side } from './peers/peer.ts';

export interface Row {
  /** What differs within the question: `128 B`. */
  readonly label: string;
  readonly load: Pick<LoadSpec, 'load' | 'payloadBytes' | 'window'> &
    Partial<Pick<LoadSpec, 'batch' | 'records' | 'publishers' | 'subscribers' | 'perSecond'>>;
}

export interface Question {
  readonly name: string;
  /** The question in words. */
  readonly title: string;
  /** `rate`: messages each second, more is better. `latency`: median in microseconds, less is. */
  readonly measures: 'rate' | 'latency';
  readonly rows: readonly Row[];
  readonly peers: readonly Side[];
  /** True when the queue type goes with the peer's setting (RabbitMQ). */
  readonly quorumByPeer?: boolean;
}

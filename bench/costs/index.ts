/** All costs in the order in which they are measured. */

import type { Cost } from '../cost.ts';
import { cost as crossingKill } from './crossing-kill.ts';
import { cost as disk } from './disk.ts';
import { cost as isolation } from './isolation.ts';
import { cost as memoryMessages } from './memory-messages.ts';
import { cost as memoryStreams } from './memory-streams.ts';
import { cost as retained } from './retained.ts';
import { cost as sharedReads } from './shared-reads.ts';
import { cost as start } from './start.ts';

export const costs: readonly Cost[] = [
  ...[start, memoryStreams, memoryMessages, retained],
  ...[disk, sharedReads, isolation, crossingKill],
];

/** All costs in the order in which they are measured. */

import type { Cost } from '../cost.ts';
import { cost as memoryConnections } from './memory-connections.ts';
import { cost as memoryMessages } from './memory-messages.ts';
import { cost as memoryStreams } from './memory-streams.ts';
import { cost as start } from './start.ts';

export const costs: readonly Cost[] = [start, memoryConnections, memoryStreams, memoryMessages];

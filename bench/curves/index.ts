/** All curves in the order in which they are drawn. */

import type { Curve } from '../curve.ts';
import { curve as backlog } from './backlog.ts';
import { curve as connections } from './connections.ts';
import { curve as publishers } from './publishers.ts';
import { curve as retained } from './retained.ts';
import { curve as size } from './size.ts';
import { curve as streams } from './streams.ts';

export const curves: readonly Curve[] = [connections, streams, retained, size, backlog, publishers];

#!/usr/bin/env node
import { launch } from './launch.mjs';

await launch('src/server/main.ts', { countsSignals: true });

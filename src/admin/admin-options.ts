/** Options of the admin listener. */
import type { OptionRows } from '#kit';

export const ADMIN_OPTIONS = {
  listen: {
    type: 'list',
    default: ['localhost:58080'],
    help: 'Addresses for the admin HTTP API, health and metrics.',
  },
} as const satisfies OptionRows;

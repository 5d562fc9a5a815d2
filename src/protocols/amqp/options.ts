/**
 * Options of this protocol, one row each. Sizes and times that clients negotiate start from these.
 */
import type { OptionRows } from '#kit';

/** Smallest frame_max that a client may ask for; the specification's own minimum. */
export const FRAME_BYTES_MIN = 4096;

export const options = {
  listen: {
    type: 'list',
    default: ['localhost:5672'],
    help: 'Addresses for AMQP 0-9-1 over TCP; empty switches it off.',
  },
  'tls-listen': {
    type: 'list',
    default: ['localhost:5671'],
    help: 'Addresses for AMQP 0-9-1 over TLS; opened when a certificate is configured.',
  },
  'channel-max': {
    type: 'integer',
    default: 2047,
    min: 1,
    max: 65535,
    help: 'Channels per connection.',
  },
  'frame-max': {
    type: 'bytes',
    default: 131_072,
    min: FRAME_BYTES_MIN,
    max: 16 << 20,
    help: 'Largest frame; clients may ask for smaller ones.',
  },
  heartbeat: {
    type: 'duration',
    default: 60_000,
    min: 0,
    max: 65_535_000,
    help: 'Heartbeat that is offered to clients, in whole seconds; 0 offers none.',
  },
  product: {
    type: 'text',
    default: 'RobustMQ',
    help: 'Product name in the server properties, for clients that ask for a certain one.',
  },
  'max-message': {
    type: 'bytes',
    default: 16 << 20,
    min: 1,
    max: 512 << 20,
    help: 'Largest message body.',
  },
} as const satisfies OptionRows;

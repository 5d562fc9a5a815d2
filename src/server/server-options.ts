/** Options of the server itself; the rooms bring their own, `schema.ts` puts them together. */
import type { OptionRows } from '#kit';
import { NET_OPTIONS } from '#net';
import { LOG_LEVELS } from './log.ts';
import { TOKEN_OPTIONS } from './token-options.ts';

export const SERVER_OPTIONS = {
  'data-dir': {
    type: 'text',
    default: './data',
    help: 'Folder for everything that is stored. One server at a time may use it.',
  },
  'log-level': {
    type: 'text',
    default: 'info',
    choices: LOG_LEVELS,
    help: 'Least level of the lines that go to the log, on standard error.',
  },
  'log-format': {
    type: 'text',
    default: 'text',
    choices: ['text', 'json'],
    help: 'Log lines for people, or one JSON object per line.',
  },
  'stop-timeout': {
    type: 'duration',
    default: 10_000,
    min: 0,
    help: 'Time that clients get to leave when the server stops; then they are cut.',
  },
  'auto-create': {
    type: 'boolean',
    default: true,
    help: 'Make a stream when a client publishes to a name that has none yet.',
  },
  'message-max': {
    type: 'bytes',
    default: 16 << 20,
    min: 1024,
    max: 30 << 20,
    help: 'Largest message of any protocol.',
  },
  ...NET_OPTIONS,
} as const satisfies OptionRows;

export const AUTH_OPTIONS = {
  user: {
    type: 'text',
    default: '',
    help:
      'Name of an administrator that is made at start, with `auth.password`, and may come from any ' +
      'address. For containers; otherwise use `robust-ctl users create`.',
  },
  password: { type: 'text', default: '', help: 'Password of `auth.user`.' },
  'no-match': {
    type: 'text',
    default: 'auto',
    choices: ['auto', 'allow', 'deny'],
    help:
      'What holds where no rule speaks. auto: allowed to those that no allow rule names, and ' +
      'denied to everybody when `auth.mosquitto-acl-file` is set.',
  },
  'rules-file': {
    type: 'text',
    default: '',
    help: 'TOML file of rules, beside those of the admin API; read again on SIGHUP.',
  },
  'mosquitto-password-file': {
    type: 'text',
    default: '',
    help: 'Password file of Mosquitto ($6$ and $7$): its users log in here, with every protocol.',
  },
  'mosquitto-acl-file': {
    type: 'text',
    default: '',
    help: 'ACL file of Mosquitto: its lines are rules, for every protocol.',
  },
  'scram-iterations': {
    type: 'integer',
    default: 8192,
    min: 4096,
    max: 16_384,
    help: 'Iterations of the SCRAM credentials that are made with a password.',
  },
  'failures-max': {
    type: 'integer',
    default: 100,
    min: 0,
    help:
      'Failed log-ins of one address in `auth.failures-window`, after which only passwords that ' +
      'were right before are let in; 0 = no limit. Not counted for this machine.',
  },
  'failures-window': {
    type: 'duration',
    default: 60_000,
    min: 1000,
    help: 'Time in which failed log-ins of an address count together.',
  },
  ...TOKEN_OPTIONS,
} as const satisfies OptionRows;

export const STORAGE_OPTIONS = {
  'wal-file-size': {
    type: 'bytes',
    default: 64 << 20,
    min: 4 << 20,
    max: 1 << 30,
    help: 'Size of one write-ahead file; at least twice the largest message.',
  },
  'in-flight-max': {
    type: 'bytes',
    default: 64 << 20,
    min: 1 << 20,
    help: 'Bytes that may wait for the disk before publishers are told to slow down.',
  },
  'cache-size': {
    type: 'bytes',
    default: 64 << 20,
    min: 0,
    help: 'Memory for recent records, which readers get without touching the disk.',
  },
  'async-interval': {
    type: 'duration',
    default: 100,
    min: 1,
    max: 60_000,
    help: 'Longest time that records of `async` streams stay unsynced.',
  },
  reserve: {
    type: 'bytes',
    default: 96 << 20,
    min: 16 << 20,
    help: 'Free disk space at which appends are refused, kept for what the server itself must write.',
  },
  'remote-bucket': {
    type: 'text',
    default: '',
    help:
      'Bucket of an S3 object store for the older records of streams that are set to `remote`. ' +
      'Empty: there is none.',
  },
  'remote-endpoint': {
    type: 'text',
    default: '',
    help: 'Address of the object store, such as `https://host:port`. Empty: AWS in the region.',
  },
  'remote-region': { type: 'text', default: 'us-east-1', help: 'Region of the bucket.' },
  'remote-prefix': {
    type: 'text',
    default: '',
    help: 'Before the names of all objects in the bucket; one prefix for each server.',
  },
  'remote-addressing': {
    type: 'text',
    default: 'auto',
    choices: ['auto', 'path', 'virtual-host'],
    help:
      'Where the bucket is named: in the path, or in the host. `auto`: in the path when ' +
      '`remote-endpoint` is set.',
  },
  'remote-access-key': {
    type: 'text',
    default: '',
    help: 'Access key of the object store. Empty: AWS_ACCESS_KEY_ID of the environment.',
  },
  'remote-secret-key': {
    type: 'text',
    default: '',
    help: 'Secret key of the object store. Empty: AWS_SECRET_ACCESS_KEY of the environment.',
  },
  'remote-session-token': {
    type: 'text',
    default: '',
    help: 'Of temporary credentials. Empty: AWS_SESSION_TOKEN of the environment.',
  },
  'remote-cache-size': {
    type: 'bytes',
    default: 1 << 30,
    min: 0,
    help: 'Local disk for records that are in the object store too. What waits to go there counts.',
  },
  'remote-memory': {
    type: 'bytes',
    default: 64 << 20,
    min: 8 << 20,
    help: 'Memory for records that were fetched from the object store, or are fetched ahead.',
  },
} as const satisfies OptionRows;

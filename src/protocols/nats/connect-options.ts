/** What a client says of itself in CONNECT (N4): JSON -> checked fields. Decides nothing. */
import { ProtocolError } from '#kit';

export interface ConnectOptions {
  readonly verbose: boolean;
  readonly pedantic: boolean;
  readonly tlsRequired: boolean;
  readonly authToken: string;
  readonly user: string;
  readonly pass: string;
  readonly nkey: string;
  readonly jwt: string;
  readonly name: string;
  readonly lang: string;
  readonly version: string;
  readonly protocol: number;
  readonly echo: boolean;
  readonly headers: boolean;
  readonly noResponders: boolean;
}

/** What holds for a client that has not sent CONNECT: a person at a terminal sees every answer. */
export const BEFORE_CONNECT: ConnectOptions = {
  verbose: true,
  pedantic: true,
  tlsRequired: false,
  authToken: '',
  user: '',
  pass: '',
  nkey: '',
  jwt: '',
  name: '',
  lang: '',
  version: '',
  protocol: 0,
  echo: true,
  headers: false,
  noResponders: false,
};

/** Reads the JSON of CONNECT; unknown fields are ignored, `null` counts as absent. */
export function readConnect(json: string): ConnectOptions {
  const fields = parse(json);
  const flag = (name: string, otherwise: boolean): boolean => {
    const value = fields[name] ?? otherwise;
    return typeof value === 'boolean' ? value : wrong(name);
  };
  const text = (name: string): string => {
    const value = fields[name] ?? '';
    return typeof value === 'string' ? value : wrong(name);
  };
  const protocol = fields['protocol'] ?? 0;
  return {
    verbose: flag('verbose', true),
    pedantic: flag('pedantic', true),
    tlsRequired: flag('tls_required', false),
    authToken: text('auth_token'),
    user: text('user'),
    pass: text('pass'),
    nkey: text('nkey'),
    jwt: text('jwt'),
    name: text('name'),
    lang: text('lang'),
    version: text('version'),
    protocol: typeof protocol === 'number' ? protocol : wrong('protocol'),
    echo: flag('echo', true),
    headers: flag('headers', false),
    noResponders: flag('no_responders', false),
  };
}

function parse(json: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ProtocolError('CONNECT', 0, 'is not JSON', 0);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError('CONNECT', 0, 'is not a JSON object', 0);
  }
  return value as Record<string, unknown>;
}

function wrong(name: string): never {
  throw new ProtocolError(name, 0, 'has a value of the wrong type', 0);
}

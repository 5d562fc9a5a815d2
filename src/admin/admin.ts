/** The HTTP server of admin: takes sockets, finds the route, checks who asks, writes the answer. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BrokerError, ERRORS } from '#kit';
import type { AdminContext } from './admin-context.ts';
import { apiDocument } from './api-document.ts';
import { HTTP_STATUS, type JsonObject, ok, type Reply, type Route } from './exchange.ts';
import { Login } from './login.ts';
import { METRICS_CONTENT_TYPE } from './metrics-text.ts';
import { watchEventLoop } from './process-metrics.ts';
import { type Found, Router } from './router.ts';
import { actionRoutes } from './routes/actions.ts';
import { ADMISSION_ROUTES } from './routes/admission.ts';
import { QUEUE_ROUTES } from './routes/queues.ts';
import { SERVER_ROUTES } from './routes/server.ts';
import { STORAGE_ROUTES } from './routes/storage.ts';
import { STREAM_ROUTES } from './routes/streams.ts';
import { TIME_ROUTES } from './routes/time.ts';
import { RULE_ROUTES, USER_ROUTES } from './routes/users.ts';

export const ADMIN_ROUTES: readonly Route[] = [
  ...SERVER_ROUTES,
  ...STORAGE_ROUTES,
  ...STREAM_ROUTES,
  ...QUEUE_ROUTES,
  ...TIME_ROUTES,
  ...ADMISSION_ROUTES,
  ...USER_ROUTES,
  ...RULE_ROUTES,
  {
    method: 'GET',
    path: '/api/v1/openapi.json',
    summary: 'This document.',
    run: ({ context }) => ok(apiDocument(routesOf(context), context.version)),
  },
];

function routesOf({ protocols }: AdminContext): readonly Route[] {
  return [...ADMIN_ROUTES, ...actionRoutes(protocols)];
}

// An import would look at all exports of the module, and so load the client of `fetch`: 50 ms.
const { createServer } = process.getBuiltinModule('node:http');

/** Largest body of an admin request. */
const BODY_BYTES_MAX = 1 << 20;
/** Time for the whole header of a request, and for the request; checked every few seconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const CHECK_INTERVAL_MS = 5_000;
/** An admin connection without traffic is closed after this time. */
const IDLE_TIMEOUT_MS = 60_000;
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
};

export class Admin {
  readonly #context: AdminContext;
  readonly #router: Router;
  readonly #login: Login;
  readonly #server: Server;
  readonly #isLoopback: (address: string) => boolean;

  constructor(context: AdminContext, isLoopback: (address: string) => boolean) {
    this.#context = context;
    this.#router = new Router(routesOf(context));
    this.#isLoopback = isLoopback;
    this.#login = new Login(context.broker, context.clock);
    const limits = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
    };
    this.#server = createServer(limits, (request, response) => void this.#serve(request, response));
    // The sockets are given to it; it looks after slow ones only once it believes that it listens.
    this.#server.emit('listening');
    watchEventLoop();
  }

  /** Takes a socket that a listener accepted. */
  accept(socket: Socket): void {
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    this.#server.emit('connection', socket);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#write(response, await this.#answer(request));
    } catch (error) {
      this.#write(response, this.#failure(error, response));
    }
  }

  async #answer(request: IncomingMessage): Promise<Reply> {
    const refusal = this.#context.refusal(request.headers);
    if (refusal !== null) throw new BrokerError('not-authorized', `${refusal}.`);
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const found = this.#router.find(request.method ?? '', path);
    if (!('route' in found)) return unknownPath(found);
    const user = await this.#admit(request, found.route);
    const body = await readBody(request);
    return found.route.run({
      context: this.#context,
      params: found.params,
      query: new URLSearchParams(query),
      body,
      user,
    });
  }

  async #admit(request: IncomingMessage, { open }: Found['route']): Promise<string> {
    const address = request.socket.remoteAddress ?? '';
    const loopback = this.#isLoopback(address);
    if (open === 'all' || (open === 'loopback' && loopback)) return '';
    return this.#login.administrator(request.headers.authorization, { address, loopback });
  }

  #failure(error: unknown, response: ServerResponse): Reply {
    if (error instanceof BrokerError) {
      if (error.code === 'bad-credentials') {
        response.setHeader('www-authenticate', 'Basic realm="robustmq", charset="UTF-8"');
      }
      const { code, message } = error;
      return problem(HTTP_STATUS[code], code, message);
    }
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#context.log.error('admin request failed', { reason });
    return problem(500, 'internal', 'The server made a mistake; its log says more.');
  }

  #write(response: ServerResponse, { status, body }: Reply): void {
    if (response.destroyed) return;
    const isText = typeof body === 'string';
    const content = status === 204 ? '' : isText ? body : `${JSON.stringify(body)}\n`;
    response.writeHead(status, {
      ...SECURITY_HEADERS,
      ...(status === 204
        ? {}
        : { 'content-type': isText ? METRICS_CONTENT_TYPE : 'application/json; charset=utf-8' }),
      'content-length': Buffer.byteLength(content),
    });
    response.end(content);
  }
}

function problem(status: number, code: string, message: string): Reply {
  return { status, body: { error: { code, message } } };
}

function unknownPath(methods: readonly string[]): Reply {
  return methods.length === 0
    ? problem(404, 'unknown-path', 'There is nothing at this path; see /api/v1/openapi.json.')
    : problem(405, 'unknown-method', `This path knows ${methods.join(', ')}.`);
}

/** The body as an object. JSON is demanded by name: a page of another site cannot send that. */
async function readBody(request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new BrokerError('message-too-large', 'At most 1 MiB.');
    chunks.push(chunk);
  }
  const isChange = request.method !== 'GET' && request.method !== 'DELETE';
  const isJson = /^application\/json\b/.test(request.headers['content-type'] ?? '');
  if (isChange && !isJson) {
    throw new BrokerError('invalid-argument', 'Send the header content-type: application/json.');
  }
  if (bytes === 0) return {};
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof body === 'object' && body !== null && !Array.isArray(body))
      return body as JsonObject;
  } catch {
    // Told below, like any other body that is no object.
  }
  throw new BrokerError('invalid-argument', `${ERRORS.malformed.sentence} Expected a JSON object.`);
}

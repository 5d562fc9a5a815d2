/**
 * A proxy before a bucket that misbehaves as networks and stores do, request by request, as a test
 * says: it throttles, cuts answers and requests in the middle, is slow, gives wrong lengths.
 */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

type Mischief =
  /** An answer of its own. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
    }
  /** Cuts the connection before any answer; the bucket never sees the request. */
  | { readonly kind: 'reset' }
  /** Lets the bucket do it, and cuts the connection instead of telling. */
  | { readonly kind: 'swallow' }
  /** Sends so many bytes of the answer's body and cuts the connection. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** Sends so many bytes of the answer's body and then nothing more. */
  | { readonly kind: 'stall'; readonly bytes: number }
  /** Sends so many bytes less than there are, with headers that agree with that. */
  | { readonly kind: 'short'; readonly bytes: number };

export interface UnrulyProxy {
  readonly endpoint: string;
  /** Decides over each request; null lets it pass. */
  decide: (request: http.IncomingMessage, number: number) => Mischief | null;
  /** Requests so far. */
  requests: number;
  /** Under way now, and the most at a time. */
  active: number;
  most: number;
  close(): Promise<void>;
}

export async function startUnrulyProxy(target: string): Promise<UnrulyProxy> {
  const { hostname, port } = new URL(target);
  const server = http.createServer((request, response) => {
    proxy.requests++;
    proxy.most = Math.max(proxy.most, ++proxy.active);
    response.on('close', () => proxy.active--);
    const mischief = proxy.decide(request, proxy.requests);
    if (mischief?.kind === 'reset') return void request.socket.destroy();
    if (mischief?.kind === 'answer') {
      request.resume();
      response.writeHead(mischief.status, mischief.headers);
      return void response.end(mischief.body ?? '');
    }
    const { method, url, headers } = request;
    const onward = http.request({ hostname, port, method, path: url, headers }, (answer) => {
      void relay(answer, response, mischief);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: UnrulyProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    decide: () => null,
    requests: 0,
    active: 0,
    most: 0,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}

async function relay(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  mischief: Mischief | null,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const headers = { ...answer.headers };
  const status = answer.statusCode ?? 500;
  if (mischief === null) {
    response.writeHead(status, headers);
    response.end(body);
    return;
  }
  if (mischief.kind === 'swallow') return void response.destroy();
  if (mischief.kind === 'short') {
    headers['content-length'] = String(body.length - mischief.bytes);
    response.writeHead(status, headers);
    response.end(body.subarray(0, body.length - mischief.bytes));
    return;
  }
  const bytes = mischief.kind === 'cut' || mischief.kind === 'stall' ? mischief.bytes : 0;
  response.writeHead(status, headers);
  response.write(body.subarray(0, bytes), () => {
    if (mischief.kind === 'cut') response.destroy();
  });
}

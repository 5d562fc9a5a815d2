/** Asks the admin API of a running server, over HTTP only. */

export interface Access {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

/** What the server refused, or why it could not be asked, as a sentence for the terminal. */
export class AdminError extends Error {}

export type Row = Readonly<Record<string, unknown>>;

export class AdminClient {
  readonly #access: Access;

  constructor(access: Access) {
    this.#access = access;
  }

  get(path: string): Promise<Row> {
    return this.#ask('GET', path);
  }

  post(path: string, body: Row = {}): Promise<Row> {
    return this.#ask('POST', path, body);
  }

  put(path: string, body: Row): Promise<Row> {
    return this.#ask('PUT', path, body);
  }

  patch(path: string, body: Row): Promise<Row> {
    return this.#ask('PATCH', path, body);
  }

  delete(path: string): Promise<Row> {
    return this.#ask('DELETE', path);
  }

  /** All rows of a listing, page by page. */
  async list(path: string): Promise<Row[]> {
    const rows: Row[] = [];
    const sign = path.includes('?') ? '&' : '?';
    let after: string | null = '0';
    while (after !== null) {
      const answer: Row = await this.get(`${path}${sign}after=${after}`);
      rows.push(...(answer['items'] as Row[]));
      after = answer['next'] as string | null;
    }
    return rows;
  }

  /** An answer that is plain text. */
  async text(path: string): Promise<string> {
    const response = await this.#send('GET', path);
    const text = await response.text();
    if (!response.ok) throw new AdminError(refusalOf(text) ?? `HTTP ${response.status}`);
    return text;
  }

  async #ask(method: string, path: string, body?: Row): Promise<Row> {
    return readAnswer(await this.#send(method, path, body), this.#access.url);
  }

  async #send(method: string, path: string, body?: Row): Promise<Response> {
    const { url, user, password } = this.#access;
    const credentials = Buffer.from(`${user}:${password}`).toString('base64');
    try {
      return await fetch(new URL(path, url), {
        method,
        headers: {
          authorization: `Basic ${credentials}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new AdminError(`No answer from ${url}: ${causeOf(error)}. Is the server running?`);
    }
  }
}

function refusalOf(text: string): string | null {
  try {
    return (JSON.parse(text) as { error?: { message: string } }).error?.message ?? null;
  } catch {
    return null;
  }
}

async function readAnswer(response: Response, url: string): Promise<Row> {
  const text = await response.text();
  if (text === '' && response.ok) return {};
  let answer: { error?: { message: string } } & Row;
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw new AdminError(`What answers at ${url} is not the admin API (HTTP ${response.status}).`);
  }
  if (response.ok || response.status === 503) return failOn(answer, response);
  throw new AdminError(answer.error?.message ?? `HTTP ${response.status}`);
}

/** Not ready is an answer; a refusal is not. */
function failOn(answer: { error?: { message: string } } & Row, response: Response): Row {
  if (response.ok || answer.error === undefined) return answer;
  throw new AdminError(answer.error.message);
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error
    ? cause.message || String((cause as { code?: string }).code)
    : error.message;
}

/** Finds the route of a request: a table of rows, matched segment by segment. */
import type { Route } from './exchange.ts';

export interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface Row {
  readonly route: Route;
  readonly segments: readonly string[];
}

export class Router {
  readonly #rows: readonly Row[];

  constructor(routes: readonly Route[]) {
    this.#rows = routes.map((route) => ({ route, segments: route.path.split('/') }));
  }

  /** The route, or the methods that the path knows instead (none: unknown path). */
  find(method: string, path: string): Found | readonly string[] {
    const segments = decode(path);
    const methods: string[] = [];
    if (segments === null) return methods;
    for (const { route, segments: pattern } of this.#rows) {
      const params = match(pattern, segments);
      if (params === null) continue;
      if (route.method === method) return { route, params };
      methods.push(route.method);
    }
    return methods;
  }
}

function decode(path: string): readonly string[] | null {
  try {
    return path.split('/').map(decodeURIComponent);
  } catch {
    return null;
  }
}

function match(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | null {
  if (pattern.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index]!;
    if (expected.startsWith(':')) {
      if (segment === '') return null;
      params[expected.slice(1)] = segment;
    } else if (expected !== segment) return null;
  }
  return params;
}

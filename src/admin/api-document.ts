/** The API as an OpenAPI 3.1 document, made from the route table, so that it cannot lag behind. */
import type { JsonObject, Route } from './exchange.ts';

export function apiDocument(routes: readonly Route[], version: string): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const { method, path, summary, open } of routes) {
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!);
    const shown = path.replace(/:(\w+)/g, '{$1}');
    paths[shown] ??= {};
    paths[shown][method.toLowerCase()] = {
      summary,
      ...(open === undefined ? {} : { security: [] }),
      parameters: names.map((name) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string' },
      })),
      responses: {
        default: { description: 'See the summary; errors carry { error: { code, message } }.' },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'RobustMQ admin', version },
    security: [{ basic: [] }],
    components: { securitySchemes: { basic: { type: 'http', scheme: 'basic' } } },
    paths,
  };
}

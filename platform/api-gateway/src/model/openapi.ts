import type { CountryCode } from '@domicile/core/countries.ts';
import { z } from 'zod';
import { components } from './api/components.ts';
import { type Operation, operations } from './api/operations.ts';
import type { Parameter } from './api/parameters.ts';
import { type Route, routes } from './routes.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** A route that is there, with what is said of it. */
export interface DescribedRoute {
  readonly route: Route;
  readonly operation: Operation;
}

export const describedRoutes: readonly DescribedRoute[] = routes.flatMap((route) => {
  const operation = operations[keyOf(route)];
  return route.isBuilt === false || !operation ? [] : [{ route, operation }];
});

/** OpenAPI 3.1, made of the route table and the schemas. What is not built is left out. */
export function openApi(country: CountryCode): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const { route, operation } of describedRoutes) {
    const path = openPath(route);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: described(route, operation) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: `Domicile, the cell of ${country}`,
      version: '1',
      description:
        'Times are RFC 3339, ranges half-open `[from,to)`, intervals ISO 8601 durations, units UCUM codes. A building of another country is answered 421 with the address of its own cell. Errors are RFC 9457 problems; programs go by `code`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(describedRoutes.map(({ operation }) => operation.tag))].map((name) => ({
      name,
    })),
    paths,
    components: {
      schemas: componentSchemas(),
      responses: { Problem: problemResponse },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
    },
  };
}

export function keyOf({ method, path }: Route): string {
  return `${method} ${path}`;
}

/** OpenAPI has no parameter of several segments; the description of `path` says so. */
export function openPath({ path }: Route): string {
  return path.replace('...}', '}');
}

const problemMedia = 'application/problem+json';
const problemResponse = {
  description: 'A problem',
  content: { [problemMedia]: { schema: { $ref: '#/components/schemas/problem' } } },
};
const problems = { $ref: '#/components/responses/Problem' };

function described(route: Route, operation: Operation): JsonObject {
  const { tag, summary, description, parameters, body } = operation;
  const words = [description, `Needs the scope \`${route.scope}\`.`].filter(Boolean).join(' ');
  return {
    operationId: operationId(route),
    tags: [tag],
    summary,
    description: words,
    security: [{ token: [route.scope] }, { apiKey: [route.scope] }],
    parameters: parameters.map(describedParameter),
    ...(body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: schemaOf(body) } },
      },
    }),
    responses: {
      [operation.status ?? 200]: successOf(operation),
      ...(route.method === 'GET' && { 304: { description: 'Not changed since that ETag' } }),
      ...Object.fromEntries(statusesOf(route).map((status) => [status, problems])),
    },
  };
}

function statusesOf(route: Route): readonly number[] {
  const withBody = route.method === 'POST' ? [409, 413, 415] : [406];
  return [400, 401, 403, 404, 421, 429, 503, ...withBody].toSorted((a, b) => a - b);
}

function operationId({ method, path }: Route): string {
  const words = path.split('/').flatMap((part) => part.match(/\w+/g) ?? []);
  return [method.toLowerCase(), ...words.slice(1)].join('-');
}

function successOf({ status, answer, formats = [], example }: Operation): JsonObject {
  const json = answer && {
    'application/json': {
      schema: refOf(answer),
      ...(example !== undefined && { example: jsonOf(example) }),
    },
  };
  const others = formats.map((format) => [format, { schema: { type: 'string' } }] as const);
  return {
    description: status === 202 ? 'Kept' : 'The answer',
    headers: {
      'X-Request-Id': { description: 'Names this request', schema: { type: 'string' } },
      RateLimit: { description: 'What is left of the limit', schema: { type: 'string' } },
      ...(status === 202
        ? { Location: { description: 'The command', schema: { type: 'string' } } }
        : { ETag: { description: 'Of this answer', schema: { type: 'string' } } }),
    },
    content: { ...json, ...Object.fromEntries(others) },
  };
}

function describedParameter(parameter: Parameter): JsonObject {
  const { name, required = false, description, schema, example } = parameter;
  return {
    name,
    in: parameter.in,
    required,
    description,
    schema: schemaOf(schema),
    ...(example !== undefined && { example }),
  };
}

const named = z.registry<{ id: string }>();
for (const [id, schema] of Object.entries(components)) named.add(schema, { id });

function refOf(schema: z.ZodType): JsonObject {
  const id = named.get(schema)?.id;
  return id === undefined ? schemaOf(schema) : { $ref: uri(id) };
}

const uri = (id: string) => `#/components/schemas/${id}`;

/** As a reader may find them: more members may be added. */
function componentSchemas(): JsonObject {
  const { schemas } = z.toJSONSchema(named, { uri, io: 'input' });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [id, withoutHead(jsonOf(schema))]),
  );
}

function schemaOf(schema: z.ZodType): JsonObject {
  return withoutHead(jsonOf(z.toJSONSchema(schema, { io: 'input' })));
}

function withoutHead(schema: Json): JsonObject {
  if (!isObject(schema)) return {};
  const { $schema: _dialect, $id: _id, ...rest } = schema;
  return rest;
}

const jsonSchema: z.ZodType<Json> = z.json();

/** A plain copy: what JSON would make of it. */
function jsonOf(value: unknown): Json {
  return jsonSchema.parse(JSON.parse(JSON.stringify(value)));
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

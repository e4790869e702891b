import { errorDecisions } from '@domicile/core/errors.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { operations } from './api/operations.ts';
import { problemMeanings } from './api/problems.ts';
import { docsPage } from './docs-page.ts';
import { describedRoutes, isObject, type Json, keyOf, openApi, openPath } from './openapi.ts';
import { routes } from './routes.ts';

const document = openApi(parseCountryCode('DE'));
const text = JSON.stringify(document);

test('every built route is described, and nothing else', () => {
  const built = routes.filter(({ isBuilt }) => isBuilt !== false).map(keyOf);
  expect(Object.keys(operations).toSorted()).toEqual(built.toSorted());
  const described = isObject(document['paths']) ? Object.keys(document['paths']) : [];
  expect(described.toSorted()).toEqual(
    [...new Set(describedRoutes.map(({ route }) => openPath(route)))].toSorted(),
  );
  expect(text).not.toMatch(/alerts"|correlations|sql|raw\/files/);
});

test('every example is an answer as the description has it', () => {
  const answered = Object.values(operations).filter(({ answer }) => answer);
  expect(answered.map(({ answer, example }) => answer?.parse(example))).toEqual(
    answered.map(({ example }) => example),
  );
});

test('every parameter of a path is described, and every example is a good one', () => {
  for (const { route, operation } of describedRoutes) {
    const inPath = [...openPath(route).matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = operation.parameters.filter((one) => one.in === 'path');
    expect(described.map(({ name }) => name)).toEqual(inPath);
    const shown = operation.parameters.filter(({ example }) => example !== undefined);
    expect(shown.map(({ schema, example }) => schema.parse(example))).toEqual(
      shown.map(({ example }) => example),
    );
  }
});

test('every reference leads somewhere, and every operation has a name of its own', () => {
  const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path);
  expect(references.length).toBeGreaterThan(20);
  for (const path of references)
    expect([path, path.split('/').reduce<Json | undefined>(step, document)]).toEqual([
      path,
      expect.anything(),
    ]);
  const names = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, name]) => name);
  expect(new Set(names).size).toBe(describedRoutes.length);
});

const step = (inner: Json | undefined, name: string) => (isObject(inner) ? inner[name] : undefined);

test('every problem that a request may meet is explained', () => {
  const inside = /^(CONFIG_INVALID|FENCED|OBJECT_EXISTS|OBJECT_MISMATCH|STATE_LOST)$/;
  const met = Object.keys(errorDecisions).filter((code) => !inside.test(code));
  expect(Object.keys(problemMeanings)).toEqual(
    expect.arrayContaining(met.map((code) => code.toLowerCase().replaceAll('_', '-'))),
  );
});

test('the page shows every operation and asks nothing of strangers', () => {
  const page = docsPage(document);
  for (const { route } of describedRoutes) expect(page).toContain(openPath(route));
  expect(page).not.toMatch(/<script|https?:\/\/|style=|\son\w+=/);
  const targets = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
  for (const id of new Set(targets)) expect(page).toContain(`id="${id}"`);
});

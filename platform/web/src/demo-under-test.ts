import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { must } from '@domicile/core/invariants.ts';
import { z } from 'zod';
import { readTestConfig } from './config.ts';

const cellSchema = z.object({
  country: z.string(),
  api: z.url(),
  tokens: z.object({ client: z.string(), otherClient: z.string() }),
});

/** What a running demo writes about itself, as far as a browser needs it. */
const demoSchema = z.object({
  web: z.url(),
  cells: z.record(z.string(), cellSchema),
  logins: z.object({ client: z.object({ user: z.string(), password: z.string() }) }),
});

const pageConfigSchema = z.object({ issuer: z.url() });
const buildingsSchema = z.object({ rows: z.array(z.object({ id: z.string() })) });

export interface DemoUnderTest {
  readonly web: string;
  readonly issuer: string;
  readonly cells: readonly { readonly country: string; readonly api: string }[];
  /** A building of the client in a country. */
  readonly building: (country: string) => string;
  /** A building that is there and belongs to another client. */
  readonly buildingOfOthers: string;
  readonly login: { readonly user: string; readonly password: string };
}

const root = join(import.meta.dirname, '../../..');

/** The demo that runs on this machine. */
export async function demoUnderTest(): Promise<DemoUnderTest> {
  const file = resolve(root, readTestConfig().DEMO_FILE);
  const demo = demoSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  const cells = Object.values(demo.cells);
  const page = await fetch(`${demo.web}/config.json`);
  const { issuer } = pageConfigSchema.parse(await page.json());
  const own = new Map(
    await Promise.all(
      cells.map(async ({ country, api, tokens }) => {
        const [first] = await buildingsOf(api, tokens.client);
        return [country, first] as const;
      }),
    ),
  );
  const others = await Promise.all(
    cells.map(({ api, tokens }) => buildingsOf(api, tokens.otherClient)),
  );
  return {
    web: demo.web,
    issuer,
    cells,
    building: (country) => must(own.get(country), 'the client has a building in each country'),
    buildingOfOthers: must(others.flat()[0], 'another client has a building'),
    login: demo.logins.client,
  };
}

async function buildingsOf(api: string, token: string): Promise<string[]> {
  const response = await fetch(`${api}/v1/buildings`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  return buildingsSchema.parse(await response.json()).rows.map(({ id }) => id);
}

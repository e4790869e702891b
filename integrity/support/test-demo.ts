import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DemoCell, DemoFile } from '@domicile/cell/demo-file.ts';
import { Demo, type DemoOptions } from '@domicile/cell/demo.ts';
import { must } from '@domicile/core/invariants.ts';
import { stateDir } from '@domicile/devkit/cache-dir.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';

export interface TestDemoOptions extends Omit<DemoOptions, 'fail'> {
  readonly replay?: boolean;
  readonly brokers?: number;
  readonly landingFlushMs?: number;
  readonly servingFlushMs?: number;
}

/** The demo as users start it, in a folder of its own that is removed at the end. */
export class TestDemo {
  readonly demo: Demo;
  readonly dir: string;
  readonly restarts: string[];

  static async start(options: TestDemoOptions = {}): Promise<TestDemo> {
    const {
      replay = false,
      brokers = 1,
      landingFlushMs = 2_000,
      servingFlushMs = 2_000,
      ...rest
    } = options;
    const dir = join(stateDir, 'tests', freshName('demo'));
    const restarts: string[] = [];
    const demo = await Demo.start(
      {
        DEMO_DIR: dir,
        DEMO_FILE: join(dir, 'demo.json'),
        DEMO_WEB_PORT: 0,
        DEMO_REPLAY: replay,
        DEMO_BROKERS: brokers,
        DEMO_LANDING_FLUSH_MS: landingFlushMs,
        DEMO_SERVING_FLUSH_MS: servingFlushMs,
      },
      {
        step: () => {},
        restarted: (name, outcome) => restarts.push(`${name} ${outcome}`),
        onboarded: () => {},
        offboarded: () => {},
        valuesRefused: (_country, why) => restarts.push(why),
      },
      { ...rest, fail: (error) => restarts.push(String(error)) },
    );
    return new TestDemo(demo, dir, restarts);
  }

  private constructor(demo: Demo, dir: string, restarts: string[]) {
    this.demo = demo;
    this.dir = dir;
    this.restarts = restarts;
  }

  /** What `demo.json` says now. */
  async file(): Promise<DemoFile> {
    const file: DemoFile = JSON.parse(await readFile(join(this.dir, 'demo.json'), 'utf8'));
    return file;
  }

  async cell(cc: string): Promise<DemoCell> {
    return must((await this.file()).cells[cc], `the demo has ${cc}`);
  }

  /** The folder of one country. */
  cellDir(cc: string): string {
    return join(this.dir, cc);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.demo[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true });
  }
}

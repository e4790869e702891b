import type { z } from 'zod';
import { components } from './components.ts';
import * as parameters from './parameters.ts';
import type { Parameter } from './parameters.ts';

/** What the description says of a route beyond the route table. */
export interface Operation {
  readonly tag: 'Buildings' | 'Commands' | 'Raw readings' | 'Analysis' | 'Files' | 'Residency';
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly Parameter[];
  readonly body?: z.ZodType;
  readonly status?: 202;
  /** The JSON answer; none for streams and files. */
  readonly answer?: z.ZodType;
  /** Media types beside JSON. */
  readonly formats?: readonly string[];
  readonly example?: unknown;
}

const csvAndLines = ['application/x-ndjson', 'text/csv'];
const columnar = [...csvAndLines, 'application/vnd.apache.parquet'];
const page = [parameters.limit, parameters.cursor];
const period = [parameters.from, parameters.to];
const ofBuilding = [parameters.building];

const exampleBuilding = {
  id: 'de-7f3k',
  country: 'DE',
  client: 'acme',
  timeZone: 'Europe/Berlin',
  name: 'Harbour office',
};
const at = '2026-11-23T07:00:10.123Z';

/** By method and path of the route table; a test holds the two together. */
export const operations: Readonly<Record<string, Operation>> = {
  'GET /v1/buildings': {
    tag: 'Buildings',
    summary: 'The buildings that the token sees',
    parameters: page,
    answer: components.buildingList,
    example: { rows: [exampleBuilding], next: null },
  },
  'GET /v1/buildings/{building}': {
    tag: 'Buildings',
    summary: 'A building with its floors, rooms, devices and metrics',
    parameters: ofBuilding,
    answer: components.buildingPlan,
    example: {
      ...exampleBuilding,
      floors: [
        {
          id: '1',
          rooms: [
            {
              id: 'r101',
              devices: [
                {
                  id: 'r101-air',
                  type: 'air-quality',
                  metrics: [{ name: 'temperature', unit: 'Cel' }],
                },
              ],
            },
          ],
        },
      ],
    },
  },
  'GET /v1/buildings/{building}/summaries': {
    tag: 'Buildings',
    summary: 'Averages, extremes and percentiles by window',
    description:
      'Windows go by the time of measurement. Late readings revise them: `revision` grows, and the same readings always give the same figures.',
    parameters: [
      ...ofBuilding,
      ...period,
      parameters.interval,
      parameters.level,
      parameters.metric,
      parameters.ofId,
      ...page,
    ],
    answer: components.summaryList,
    formats: csvAndLines,
    example: {
      building: 'de-7f3k',
      country: 'DE',
      interval: 'PT15M',
      rows: [
        {
          windowStart: '2026-11-23T07:00:00Z',
          windowEnd: '2026-11-23T07:15:00Z',
          level: 'room',
          id: 'r101',
          metric: 'temperature',
          unit: 'Cel',
          count: 90,
          sum: 1926,
          avg: 21.4,
          min: 21.1,
          max: 21.7,
          stddev: 0.12,
          p50: 21.4,
          p95: 21.6,
          revision: 3,
          final: true,
        },
      ],
      through: '2026-11-23T07:29:30Z',
      next: null,
    },
  },
  'GET /v1/buildings/{building}/latest': {
    tag: 'Buildings',
    summary: 'The newest value of each point',
    parameters: [...ofBuilding, ...page],
    answer: components.latestList,
    example: {
      rows: [
        {
          device: 'r101-air',
          room: 'r101',
          metric: 'co2',
          value: 612,
          unit: '[ppm]',
          measuredAt: at,
          receivedAt: '2026-11-23T07:00:10.301Z',
        },
      ],
      next: null,
    },
  },
  'GET /v1/buildings/{building}/live': {
    tag: 'Buildings',
    summary: 'What is new, as it comes',
    description:
      'Server-sent events `latest` (at most one a point in 10 s), `summary` and `alert`, and `reset` when the events after `Last-Event-ID` are no longer kept. Read it by fetch, since the token goes in a header.',
    parameters: [...ofBuilding, parameters.lastEventId],
    formats: ['text/event-stream'],
  },
  'GET /v1/buildings/{building}/devices': {
    tag: 'Buildings',
    summary: 'Which devices speak and which are silent',
    parameters: [...ofBuilding, ...page],
    answer: components.deviceList,
    example: {
      rows: [
        {
          device: 'r101-air',
          room: 'r101',
          type: 'air-quality',
          state: 'seen',
          lastAt: at,
          everyMs: 10_000,
          reported: 'online',
        },
      ],
      next: null,
    },
  },
  'GET /v1/buildings/{building}/account': {
    tag: 'Buildings',
    summary: 'Where every reading of a period has gone',
    parameters: [...ofBuilding, ...period, ...page],
    answer: components.account,
    example: {
      totals: {
        expected: 360,
        received: 358,
        duplicates: 1,
        quarantined: 0,
        missing: 2,
        unnumbered: 0,
        unreadable: 0,
        landed: 358,
        expired: 0,
      },
      rows: [
        {
          device: 'r101-air',
          boot: '01JD9T',
          first: 0,
          last: 359,
          received: 358,
          duplicates: 1,
          missing: [[17, 18]],
          complete: true,
        },
      ],
      next: null,
    },
  },
  'POST /v1/buildings/{building}/devices/{device}/commands': {
    tag: 'Commands',
    summary: 'Ask a device to do something',
    description:
      'Answered when the command is kept; `Location` names it, to see what became of it.',
    parameters: [...ofBuilding, parameters.device, parameters.idempotencyKey],
    body: components.commandRequest,
    status: 202,
    answer: components.command,
    example: {
      id: '01JD9T',
      device: 'r101-thermostat',
      set: { setpoint: 21.5 },
      state: 'accepted',
      at,
      expiresAt: '2026-11-23T07:05:10.123Z',
      history: [{ state: 'accepted', at }],
    },
  },
  'GET /v1/buildings/{building}/devices/{device}/commands/{command}': {
    tag: 'Commands',
    summary: 'What became of a command',
    parameters: [...ofBuilding, parameters.device, parameters.command],
    answer: components.command,
    example: {
      id: '01JD9T',
      device: 'r101-thermostat',
      set: { setpoint: 21.5 },
      state: 'applied',
      at: '2026-11-23T07:00:11Z',
      expiresAt: '2026-11-23T07:05:10.123Z',
      history: [
        { state: 'accepted', at },
        { state: 'applied', at: '2026-11-23T07:00:11Z' },
      ],
    },
  },
  'GET /v1/raw/readings': {
    tag: 'Raw readings',
    summary: 'Readings as they came, cleaned and placed',
    description: 'For internal teams. A reading is here within 5 s of its acknowledgement.',
    parameters: [
      parameters.buildings,
      ...period,
      parameters.ofDevice,
      parameters.metric,
      parameters.rawLimit,
      parameters.cursor,
    ],
    answer: components.readingList,
    formats: columnar,
    example: {
      rows: [
        {
          building: 'de-7f3k',
          floor: '1',
          room: 'r101',
          device: 'r101-air',
          metric: 'co2',
          unit: '[ppm]',
          measuredAt: at,
          receivedAt: '2026-11-23T07:00:10.301Z',
          value: 612,
          text: null,
          boot: '01JD9T',
          seq: 1842,
          timeSource: 'device',
          kafkaPartition: 3,
          kafkaOffset: 90_210,
        },
      ],
      next: null,
    },
  },
  'GET /v1/analysis': {
    tag: 'Analysis',
    summary: 'The ready-made analyses and their parameters',
    parameters: [],
    answer: components.analysisList,
    example: {
      rows: [
        {
          name: 'building-comparison',
          description: 'Buildings side by side',
          parameters: [{ name: 'metric', required: true, description: 'One or more' }],
          columns: ['metric', 'rank', 'building', 'avg'],
        },
      ],
      next: null,
    },
  },
  'GET /v1/analysis/{name}': {
    tag: 'Analysis',
    summary: 'Run an analysis over one or more buildings',
    description: 'It may take parameters of its own, which the list describes.',
    parameters: [parameters.analysisName, parameters.buildings, ...period],
    answer: components.analysisAnswer,
    formats: columnar,
    example: {
      rows: [
        {
          building: 'de-7f3k',
          level: 'building',
          id: 'de-7f3k',
          metric: 'temperature',
          unit: 'Cel',
          dayType: 'workday',
          hour: 7,
          count: 1800,
          avg: 21.4,
          min: 20.6,
          max: 22.1,
          stddev: 0.3,
          p50: 21.4,
          p95: 21.9,
        },
      ],
      next: null,
    },
  },
  'GET /v1/data': {
    tag: 'Files',
    summary: 'What the serving layer offers as files',
    parameters: [],
    answer: components.dataEndpointList,
    example: {
      rows: [
        { api: 'summaries', endpoint: 'PT1H', class: 'summary', href: '/v1/data/summaries/PT1H' },
      ],
      next: null,
    },
  },
  'GET /v1/data/{api}/{endpoint}': {
    tag: 'Files',
    summary: 'The files of an endpoint',
    parameters: [parameters.dataApi, parameters.dataEndpoint, ...page],
    answer: components.dataFileList,
    example: {
      rows: [{ path: 'latest.json', bytes: 512, href: '/v1/data/summaries/PT1H/latest.json' }],
      next: null,
    },
  },
  'GET /v1/data/{api}/{endpoint}/{path...}': {
    tag: 'Files',
    summary: 'A file of the serving layer',
    parameters: [parameters.dataApi, parameters.dataEndpoint, parameters.dataPath],
    formats: ['application/json', 'text/csv', 'application/vnd.apache.parquet'],
  },
  'GET /v1/residency': {
    tag: 'Residency',
    summary: 'Where this cell keeps what, and when that was last proved',
    parameters: [],
    answer: components.residency,
    example: {
      country: 'DE',
      checkedAt: at,
      verified: true,
      items: [
        {
          what: 'Kafka',
          where: 'DE',
          evidence: 'its brokers answer from the cell’s own network',
          ok: true,
        },
      ],
    },
  },
};

import * as analysis from '@domicile/core/answers/analysis.ts';
import * as commands from '@domicile/core/answers/commands.ts';
import * as raw from '@domicile/core/answers/raw.ts';
import * as residency from '@domicile/core/answers/residency.ts';
import * as serving from '@domicile/core/answers/serving.ts';
import type { z } from 'zod';
import { problem } from './problems.ts';

/** The schemas that the services answer by, under the names that the description gives them. */
export const components = {
  building: serving.buildingRow,
  buildingList: serving.buildingList,
  buildingPlan: serving.buildingPlan,
  summary: serving.summaryRow,
  summaryList: serving.summaryList,
  latest: serving.latestRow,
  latestList: serving.latestList,
  deviceState: serving.deviceRow,
  deviceList: serving.deviceList,
  accountRow: serving.accountRow,
  account: serving.accountAnswer,
  commandRequest: commands.commandBody,
  command: commands.commandAnswer,
  reading: raw.rawRow,
  readingList: raw.rawList,
  analysis: analysis.analysisRow,
  analysisList: analysis.analysisList,
  correlation: analysis.correlationRow,
  loadProfile: analysis.loadProfileRow,
  comparison: analysis.comparisonRow,
  analysisAnswer: analysis.analysisAnswer,
  dataEndpointList: serving.dataEndpointList,
  dataFileList: serving.dataFileList,
  residency: residency.residencyAnswer,
  problem,
} as const satisfies Readonly<Record<string, z.ZodObject>>;

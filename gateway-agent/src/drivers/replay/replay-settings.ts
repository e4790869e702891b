import { z } from 'zod';

export const replaySettings = z.strictObject({
  mappingFile: z.string().describe('Mapping file, YAML.'),
});

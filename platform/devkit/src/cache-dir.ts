import { join } from 'node:path';

/** The project's own folder, which git ignores. */
export const stateDir = join(import.meta.dirname, '../../../.domicile');

/** What was fetched or made once: jars, browsers, tools. Safe to remove. */
export const defaultCacheDir = join(stateDir, 'cache');

import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { buildingDefinition } from './building-definition.ts';
import { cellDefinition } from './cell-definition.ts';

const folder = '../../../charts/domicile-operator/templates/crds';

test.each([cellDefinition, buildingDefinition])(
  'the chart holds the generated definition of $spec.names.kind; write it anew by `vitest run --project unit operators/src/crd -u`',
  async (definition) => {
    const text = stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false });
    expect(text).not.toContain('{{');
    await expect(text).toMatchFileSnapshot(`${folder}/${definition.spec.names.plural}.yaml`);
  },
);

import { resourceGroup, resourceVersion } from '@domicile/core/resources/cell.ts';
import type { z } from 'zod';
import {
  type Amendments,
  type Rule,
  type StructuralSchema,
  structuralSchema,
} from './structural-schema.ts';

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  /** Above 0: only with `-o wide`. */
  readonly priority?: number;
}

/** What a resource is, from which its CustomResourceDefinition follows. */
export interface ResourceDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly scope: 'Cluster' | 'Namespaced';
  readonly description: string;
  readonly spec: { readonly schema: z.ZodType; readonly amendments: Amendments };
  readonly status: { readonly schema: z.ZodType; readonly amendments: Amendments };
  /** Of the whole object, which alone sees its name. */
  readonly rules: readonly Rule[];
  readonly columns: readonly PrinterColumn[];
}

/**
 * One version is served and stored. The next one is added beside it with `served: true, storage: false`; while both have the same
 * fields, the strategy `None` converts.
 */
export function resourceDefinition(of: ResourceDefinition) {
  const singular = of.kind.toLowerCase();
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${of.plural}.${resourceGroup}`,
      annotations: { 'helm.sh/resource-policy': 'keep' },
      labels: {
        'app.kubernetes.io/name': 'domicile-operator',
        'app.kubernetes.io/part-of': 'domicile',
      },
    },
    spec: {
      group: resourceGroup,
      scope: of.scope,
      names: {
        kind: of.kind,
        listKind: `${of.kind}List`,
        plural: of.plural,
        singular,
        shortNames: of.shortNames,
        categories: ['domicile'],
      },
      conversion: { strategy: 'None' },
      versions: [
        {
          name: resourceVersion,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: of.columns,
          schema: { openAPIV3Schema: wholeSchema(of) },
        },
      ],
    },
  };
}

function wholeSchema(of: ResourceDefinition): StructuralSchema {
  return {
    description: of.description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: structuralSchema(of.spec.schema, of.spec.amendments),
      status: structuralSchema(of.status.schema, of.status.amendments),
    },
    ...(of.rules.length > 0 && { 'x-kubernetes-validations': of.rules }),
  };
}

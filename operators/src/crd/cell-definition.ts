import { isCountryCode, regionsOf } from '@domicile/core/countries.ts';
import { cellSpecSchema } from '@domicile/core/resources/cell.ts';
import { celText } from '../model/cel-text.ts';
import { cellStatusAmendments, cellStatusSchema } from './cell-status.ts';
import { resourceDefinition } from './resource-definition.ts';
import { type Amendments, type Rule } from './structural-schema.ts';

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('');

/** Every country that there is, by code. */
export const countries = letters
  .flatMap((first) => letters.map((second) => `${first}${second}`))
  .filter(isCountryCode);

/** `{'europe-west3': 'DE', …}` of CEL, a line a country. */
const countryOfRegions = `{\n${countries
  .filter((country) => regionsOf(country).length > 0)
  .map((country) =>
    regionsOf(country)
      .map((region) => `${celText(region)}: ${celText(country)}`)
      .join(', '),
  )
  .join(',\n')}}`;

/** CEL: whether the region lies in the country, as core's `countryOfRegion` has it. */
function liesIn(region: string, country: string): string {
  const onPremises = `${region}.startsWith('onprem-' + ${country}.lowerAscii() + '-')`;
  return `${onPremises} || ${countryOfRegions}[?${region}].orValue('') == ${country}`;
}

function immutable(rest: string): Rule[] {
  return [
    { rule: 'self == oldSelf', message: `is immutable: ${rest}`, reason: 'FieldValueForbidden' },
  ];
}

const regionPattern =
  '^(onprem-[a-z]{2}-[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?|[a-z]+-[a-z]+[0-9]{1,2})$';
const dataStays =
  'data is never moved by an edit. Copy it inside the country, then delete the Cell (its data stays) and create it with the new value';

const rulesOfSpec: Rule[] = [
  {
    rule: `self.regions.all(region, ${liesIn('region', 'self.country')})`,
    // For those who are not told the other.
    message: 'every region must lie in the country; see its country pack',
    messageExpression:
      "'every region must lie in ' + self.country + ': ' + self.regions.join(', ') + ' do not all; see the country pack'",
    fieldPath: '.regions',
    reason: 'FieldValueForbidden',
  },
  {
    rule: 'self.lake.region in self.regions',
    messageExpression: "self.lake.region + ' is none of the regions of the cell'",
    fieldPath: '.lake.region',
    reason: 'FieldValueForbidden',
  },
];

const identities = ['admin', 'writer', 'servingReader', 'rawReader', 'eraser'];
const pairs = identities.flatMap((one, index) =>
  identities.slice(index + 1).map((other) => `self.identities.${one} != self.identities.${other}`),
);

const amendments: Amendments = {
  '': { rules: rulesOfSpec },
  '/country': {
    description: 'The country whose data this cluster holds, ISO 3166-1 alpha-2.',
    enum: countries,
    rules: immutable('a country is a cluster of its own with its own Cell'),
  },
  '/regions': {
    description: 'Where nodes, brokers of Kafka and buckets may stand, all in the country.',
    isSet: true,
  },
  '/regions/[]': { pattern: regionPattern },
  '/namespace': {
    description: 'Where the processes of the cell run.',
    maxLength: 63,
    rules: [
      ...immutable('delete the Cell (its data stays) and create it anew'),
      {
        rule: "!self.startsWith('kube-') && self != 'default' && self != 'domicile-system'",
        message: 'is taken: choose a namespace that is the cell’s alone',
      },
    ],
  },
  '/kafka/bootstrap': { description: 'host:port of brokers, separated by commas.' },
  '/kafka/partitions': {
    description: 'Of every stream; fixed for the version of a stream.',
    rules: immutable(
      'a building would move to another partition and its order be lost. Make a cell with the new count beside this one, let its tasks recompute from the landing zone, then move the gateways',
    ),
  },
  '/kafka/adminSecret': { maxLength: 63 },
  '/lake': {
    rules: [
      {
        rule: 'self.landingBucket != self.servingBucket',
        message:
          'raw readings and summaries need buckets of their own: landingBucket and servingBucket are the same',
      },
      {
        rule: "self.store != 'gcs' || self.softDeleteDays == 0 || self.softDeleteDays >= 7",
        message:
          'Cloud Storage brings back what was deleted for 7 to 90 days, or, with 0, not at all',
        fieldPath: '.softDeleteDays',
      },
      {
        rule: pairs.join(' && '),
        message: 'each identity needs a Secret of its own, or the store could not tell them apart',
        fieldPath: '.identities',
      },
    ],
  },
  '/lake/store': { rules: immutable(dataStays) },
  '/lake/endpoint': { maxLength: 2000 },
  '/lake/region': { pattern: regionPattern, rules: immutable(dataStays) },
  '/lake/landingBucket': { maxLength: 63, rules: immutable(dataStays) },
  '/lake/servingBucket': { maxLength: 63, rules: immutable(dataStays) },
  ...Object.fromEntries(identities.map((name) => [`/lake/identities/${name}`, { maxLength: 63 }])),
  '/enrolment/url': {
    description:
      'Where gateways outside of the cluster renew their certificates, such as https://est.de.example:8444; nothing before it may end TLS.',
    maxLength: 2000,
    pattern: '^https://',
  },
  '/api': {
    rules: [
      {
        rule: '!has(self.replicasMax) || self.replicasMax >= self.replicas',
        message: 'replicasMax must be at least replicas',
        fieldPath: '.replicasMax',
      },
    ],
  },
  '/api/issuer': { maxLength: 2000 },
  '/api/webOrigins/[]': { maxLength: 2000 },
  '/cells': { maxProperties: 250 },
  '/cells/*': { maxLength: 2000 },
};

/** The CustomResourceDefinition of `Cell`. */
export const cellDefinition = resourceDefinition({
  kind: 'Cell',
  plural: 'cells',
  shortNames: ['dcell'],
  scope: 'Cluster',
  description: "One country's cell on this cluster: its Kafka, its buckets and its processes.",
  spec: { schema: cellSpecSchema, amendments },
  status: { schema: cellStatusSchema, amendments: cellStatusAmendments },
  rules: [],
  columns: [
    { name: 'Country', type: 'string', jsonPath: '.spec.country' },
    {
      name: 'Replicas',
      type: 'string',
      jsonPath: '.status.replicas',
      description: 'Ready, of those wanted',
    },
    {
      name: 'Kafka',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="KafkaReady")].status',
    },
    {
      name: 'Store',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="StoreReady")].status',
    },
    {
      name: 'Residency',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="ResidencyVerified")].status',
    },
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      priority: 1,
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
});

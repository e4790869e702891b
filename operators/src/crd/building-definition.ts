import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { buildingSpecSchema } from '@domicile/core/values.ts';
import { celText } from '../model/cel-text.ts';
import { buildingStatusAmendments, buildingStatusSchema } from './building-status.ts';
import { countries } from './cell-definition.ts';
import { resourceDefinition } from './resource-definition.ts';
import { type Amendments, type Rule } from './structural-schema.ts';

const immutable = (rest: string): Rule[] => [
  { rule: 'self == oldSelf', message: `is immutable: ${rest}`, reason: 'FieldValueForbidden' },
];

const builtIn = Object.keys(builtInDeviceTypes).map(celText).join(', ');
const time = { maxLength: 64 };

const amendments: Amendments = {
  '/client': {
    description: 'Who owns the building and sees its summaries.',
    maxLength: 63,
    rules: immutable('a sale is a new building with an id of its own'),
  },
  '/country': {
    description: 'The country where the building stands, ISO 3166-1 alpha-2.',
    enum: countries,
    rules: immutable('a building does not move'),
  },
  '/timeZone': {
    description: 'IANA time zone, as Europe/Berlin.',
    maxLength: 64,
    pattern: '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}$',
  },
  '/devices': { maxProperties: 5000 },
  '/devices/*/type': { maxLength: 63 },
  '/devices/*/placements/[]/floor': { maxLength: 63 },
  '/devices/*/placements/[]/room': { maxLength: 63 },
  '/devices/*/placements/[]/validFrom': time,
  '/deletionPolicy': {
    description: 'What becomes of its data when the resource is deleted. Retain keeps all of it.',
  },
  '/deviceTypes': {
    description: 'Added to the built-in catalogue.',
    maxProperties: 200,
    rules: [
      {
        rule: `self.all(key, !(key in [${builtIn}]))`,
        message: 'a name is in the built-in catalogue; choose another',
      },
    ],
  },
  '/deviceTypes/*/every': {
    maxLength: 20,
    pattern: '^PT([0-9]{1,4}H)?([0-9]{1,4}M)?([0-9]{1,5}S)?$',
  },
  '/deviceTypes/*/metrics': { minProperties: 1, maxProperties: 64 },
  '/deviceTypes/*/metrics/*': {
    rules: [
      {
        rule: '!has(self.min) || !has(self.max) || self.min < self.max',
        message: 'min must be below max',
      },
    ],
  },
  '/deviceTypes/*/metrics/*/unit': { description: 'A code of UCUM, as Cel.', maxLength: 32 },
  '/roomTypes': { maxProperties: 500 },
  '/roomTypes/*': { maxProperties: 200 },
  '/roomTypes/*/*': { maxLength: 63 },
  '/floors': { maxProperties: 300 },
  '/floors/*/rooms': { maxProperties: 1000 },
  '/floors/*/rooms/*/type': { maxLength: 63 },
  '/floors/*/rooms/*/devices': { maxProperties: 200, keysUnchecked: true },
  '/floors/*/rooms/*/devices/*': { maxLength: 63 },
  '/floors/*/rooms/*/validFrom': time,
};

const condition = (type: string) => `.status.conditions[?(@.type=="${type}")].status`;

/** The CustomResourceDefinition of `Building`. */
export const buildingDefinition = resourceDefinition({
  kind: 'Building',
  plural: 'buildings',
  shortNames: ['bld'],
  scope: 'Namespaced',
  description: 'A building: who owns it, where it is, and which devices stand in which rooms.',
  spec: { schema: buildingSpecSchema, amendments },
  status: { schema: buildingStatusSchema, amendments: buildingStatusAmendments },
  rules: [
    {
      rule: "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]{2}-[a-z0-9-]*$')",
      message:
        'the name is the id of the building: its country, a hyphen and lower-case letters, digits and hyphens, as de-7f3k',
    },
    {
      rule: "self.metadata.name.startsWith(self.spec.country.lowerAscii() + '-')",
      messageExpression:
        "'the name must begin with its country: ' + self.spec.country.lowerAscii() + '-'",
      reason: 'FieldValueForbidden',
    },
  ],
  columns: [
    { name: 'Country', type: 'string', jsonPath: '.spec.country' },
    { name: 'Cell', type: 'string', jsonPath: '.status.cell' },
    {
      name: 'Devices',
      type: 'string',
      jsonPath: '.status.devices.text',
      description: 'Seen, of those expected',
    },
    { name: 'Residency', type: 'string', jsonPath: condition('ResidencyVerified') },
    { name: 'Ready', type: 'string', jsonPath: condition('Ready') },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      priority: 1,
    },
    { name: 'Client', type: 'string', jsonPath: '.spec.client', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
});

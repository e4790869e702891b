import { z } from 'zod';
import { type BucketGrant, type BucketRight, bucketRights } from './bucket-rights.ts';
import { prunedPrefixes } from './retained-data.ts';

const oneOrMore = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());

const statementSchema = z.looseObject({
  Sid: z.string().optional(),
  Effect: z.string(),
  Principal: z.union([z.string(), z.looseObject({ AWS: oneOrMore.optional() })]).optional(),
  Action: oneOrMore.optional(),
});
type Statement = z.output<typeof statementSchema>;

const policySchema = z.looseObject({
  Version: z.string().default('2012-10-17'),
  Statement: z
    .union([statementSchema, z.array(statementSchema)])
    .transform((value) => [value].flat())
    .default([]),
});

/** A statement of ours without its principals. */
interface Rule {
  readonly Sid: string;
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * What a right is in a bucket policy. A store that does not know a condition does not grant what is under it: a writer who cannot
 * create only once cannot write.
 */
function rulesOf(bucket: string): Readonly<Record<BucketRight, readonly Rule[]>> {
  const own = `arn:aws:s3:::${bucket}`;
  const objects = [`${own}/*`];
  const writing = (prefix: string): Rule[] => [
    { Sid: `${prefix}Read`, Action: ['s3:GetObject'], Resource: objects },
    { Sid: `${prefix}List`, Action: ['s3:ListBucket'], Resource: [own] },
    {
      Sid: `${prefix}Create`,
      Action: ['s3:PutObject'],
      Resource: objects,
      Condition: { Null: { 's3:if-none-match': 'false' } },
    },
    {
      Sid: `${prefix}Pointers`,
      Action: ['s3:PutObject'],
      Resource: [`${own}/*/latest.json`, `${own}/*/latest.csv`],
    },
  ];
  return {
    write: writing('DomicileWrite'),
    prune: [
      ...writing('DomicilePrune'),
      {
        Sid: 'DomicilePruneObjects',
        Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
        Resource: prunedPrefixes.map((prefix) => `${own}/${prefix}*`),
      },
    ],
    read: [
      { Sid: 'DomicileReadObjects', Action: ['s3:GetObject'], Resource: objects },
      {
        Sid: 'DomicileReadBucket',
        Action: ['s3:ListBucket', 's3:GetBucketLocation'],
        Resource: [own],
      },
    ],
    erase: [
      {
        Sid: 'DomicileEraseObjects',
        Action: [
          's3:GetObject',
          's3:PutObject',
          's3:DeleteObject',
          's3:GetObjectVersion',
          's3:DeleteObjectVersion',
        ],
        Resource: objects,
      },
      {
        Sid: 'DomicileEraseBucket',
        Action: ['s3:ListBucket', 's3:ListBucketVersions', 's3:GetBucketLocation'],
        Resource: [own],
      },
    ],
  };
}

function statementsOf(policy: string | undefined): Statement[] {
  return policySchema.parse(policy === undefined ? {} : JSON.parse(policy)).Statement;
}

function principalsOf({ Principal }: Statement): string[] {
  return typeof Principal === 'string' ? [Principal] : (Principal?.AWS ?? []);
}

function isOurs({ Sid = '' }: Statement): boolean {
  return Sid.startsWith('Domicile');
}

function isPublic(statement: Statement): boolean {
  return statement.Effect === 'Allow' && principalsOf(statement).includes('*');
}

function listed(value: unknown): string {
  return JSON.stringify([value].flat().map(String).toSorted());
}

/** Whether a statement still says what the rule says, its principals aside. */
function follows(statement: Statement, rule: Rule): boolean {
  const { Action, Resource, Condition } = statement;
  return (
    statement.Effect === 'Allow' &&
    listed(Action) === listed(rule.Action) &&
    listed(Resource) === listed(rule.Resource) &&
    JSON.stringify(Condition ?? {}) === JSON.stringify(rule.Condition ?? {})
  );
}

/** Which rights a bucket policy gives: an identity has a right if each of its statements names it. */
export function grantsOfPolicy(bucket: string, policy: string | undefined) {
  const statements = statementsOf(policy);
  const named = new Set(statements.filter(isOurs).flatMap(principalsOf));
  const rules = rulesOf(bucket);
  const grants: BucketGrant[] = [];
  for (const identity of named)
    for (const right of bucketRights) {
      const hasAll = rules[right].every((rule) =>
        statements.some(
          (one) =>
            one.Sid === rule.Sid && follows(one, rule) && principalsOf(one).includes(identity),
        ),
      );
      if (hasAll) grants.push({ identity, right });
    }
  const told = (some: readonly Statement[]): string[] =>
    some.flatMap((one) => principalsOf(one).map((who) => `${who} ${(one.Action ?? []).join(',')}`));
  return {
    grants,
    publicGrants: told(statements.filter(isPublic)),
    otherGrants: told(
      statements.filter((one) => one.Effect === 'Allow' && !isOurs(one) && !isPublic(one)),
    ),
  };
}

/** The policy with our statements written anew; those of others stay. Undefined if nothing is left. */
export function policyWith(
  policy: string | undefined,
  of: {
    readonly bucket: string;
    readonly grants: readonly BucketGrant[] | undefined;
    readonly revokePublic: boolean;
  },
): string | undefined {
  const { bucket, grants, revokePublic } = of;
  const kept = statementsOf(policy).filter(
    (one) => !(grants !== undefined && isOurs(one)) && !(revokePublic && isPublic(one)),
  );
  const rules = rulesOf(bucket);
  const ours = bucketRights.flatMap((right) => {
    const AWS = (grants ?? []).filter((one) => one.right === right).map(({ identity }) => identity);
    return AWS.length === 0
      ? []
      : rules[right].map((rule) => ({ ...rule, Effect: 'Allow', Principal: { AWS } }));
  });
  const statements = [...kept, ...ours];
  return statements.length === 0
    ? undefined
    : JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

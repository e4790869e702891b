import { parseCountryCode } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { expect, test } from 'vitest';
import { operatorEvents } from '../events.ts';
import { configMapKind } from '../model/kinds.ts';
import type { Change } from '../model/object-cache.ts';
import { Controller } from './controller.ts';
import { Informer } from './informer.ts';
import { Informers } from './informers.ts';
import { KubeHttp } from './kube-http.ts';
import { configMap } from './test-operator.ts';

test('who depends on an object is told whether it is gone, whatever another watch of it knows', () => {
  using http = new KubeHttp({
    access: {
      server: new URL('http://127.0.0.1:9'),
      namespace: undefined,
      tls: {},
      authorization: async () => undefined,
    },
    userAgent: 'test',
  });
  const told: ((change: Change) => void)[] = [];
  const informers = new Informers((collection, changed) => {
    told.push(changed);
    return new Informer({ http, collection, changed });
  });
  const asked: (readonly [string | undefined, boolean])[] = [];
  const country = parseCountryCode('DE');
  const events = operatorEvents(
    createLog('operator', { write: () => undefined }),
    createRegistry({ service: 'operator', country }),
  );
  const controller = new Controller({
    reconciler: {
      name: 'toy',
      kind: configMapKind,
      dependencies: [
        {
          kind: configMapKind,
          labelSelector: 'a',
          ownersOf: ({ metadata }, isGone) => {
            asked.push([metadata.resourceVersion, isGone]);
            return [];
          },
        },
      ],
      reconcile: async () => ({ kind: 'done' }),
    },
    informers,
    recorder: { record: () => undefined },
    events,
    limits: {
      concurrency: 1,
      perSecond: 1,
      burst: 1,
      backoffMsMin: 1,
      backoffMsMax: 1,
      changedPauseMs: 1,
    },
    resyncMs: 60_000,
  });
  expect(controller.isIdle).toBe(true);
  const at = (resourceVersion: string) => {
    const object = configMap('here', 'one', {});
    return { ...object, metadata: { ...object.metadata, resourceVersion } };
  };
  const [, change] = told;
  change?.({ type: 'added', object: at('1') });
  change?.({ type: 'updated', object: at('2'), before: at('1') });
  change?.({ type: 'deleted', object: at('2') });
  expect(asked).toEqual([
    ['1', false],
    ['1', false],
    ['2', false],
    ['2', true],
  ]);
});

import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountRecord } from '@domicile/core/account.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import type { DeviceStatusRecord } from '@domicile/core/device-status.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { StreamName } from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { followStream, type Handler } from '../follow.ts';
import { summaryRowsOfRecord } from '../model/summary-rows.ts';
import type { ServingEvents } from './events.ts';
import type { ServingView } from './view.ts';

interface Streams {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly view: ServingView;
  readonly events: ServingEvents;
  readonly tailWindowsMax: number;
  /** Ends what holds a stream back. */
  readonly signal: AbortSignal;
  readonly fail: (error: unknown) => void;
}

/** How often it is looked whether the tail has room again. */
const roomCheckMs = 500;

/** Follows every stream that the serving API may read into its view. */
export async function followStreams(streams: Streams): Promise<readonly TopicFollower[]> {
  const { client, country, view, events, fail } = streams;
  const base = { client, country, service: 'serving', fail };
  const unreadable = (stream: StreamName) => () => events.recordUnreadable(stream);
  const registry: Handler<BuildingRecord> = {
    take: (record) => view.registry.take(record),
    forget: (key) => view.registry.forget(key),
    unreadable: unreadable('registry'),
  };
  const latest: Handler<LatestRecord> = {
    take: (record) => view.hub.latest(record.building, view.latest.take(record)),
    forget(key) {
      const [building = '', device = ''] = key.split('/');
      view.latest.forget(building, device);
    },
    unreadable: unreadable('latest'),
  };
  const account: Handler<AccountRecord> = {
    take: (record) => view.account.take(record),
    unreadable: unreadable('account'),
  };
  const statuses: Handler<DeviceStatusRecord> = {
    take: (record) => view.statuses.take(record),
    unreadable: unreadable('device-status'),
  };
  return Promise.all([
    followStream({ ...base, stream: 'registry', handler: registry }),
    followStream({ ...base, stream: 'latest', handler: latest }),
    followStream({ ...base, stream: 'account', handler: account }),
    followStream({ ...base, stream: 'device-status', handler: statuses }),
    followStream({
      ...base,
      stream: 'summaries',
      from: view.layer.current.offsets,
      handler: summariesHandler(streams),
    }),
  ]);
}

function summariesHandler(streams: Streams): Handler<SummaryRecord> {
  const { view, events, tailWindowsMax, signal } = streams;
  return {
    take(record, { partition, offset }) {
      view.tail.take(record, partition, offset);
      events.tailChanged(view.tail.windows);
      // A partial is not the window: live readers see it when they ask again.
      if (record.kind === 'window')
        view.hub.summaries(record.building, () => summaryRowsOfRecord(record));
    },
    unreadable: () => events.recordUnreadable('summaries'),
    async room() {
      if (view.tail.windows < tailWindowsMax) return;
      events.tailHeldBack();
      while (view.tail.windows >= tailWindowsMax && !signal.aborted) await sleep(roomCheckMs);
    },
  };
}

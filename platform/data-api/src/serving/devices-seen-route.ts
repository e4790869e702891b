import { PlatformError } from '@domicile/core/errors.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { Router } from 'express';
import { type DevicesSeen, devicesSeen } from '../model/devices-seen.ts';
import type { ServingView } from './view.ts';

/** A device is seen while a reading of it came within this time. */
const windowMs = 3_600_000;
/** So long one count is answered, however often it is asked for. */
const keptMs = 5_000;

/**
 * `/devices-seen`, at the admin port: how many devices of each building spoke lately, for the operator, which has no way to
 * readings. Throws `UPSTREAM_UNAVAILABLE` until the streams were read.
 */
export function devicesSeenRoute(of: {
  readonly view: Pick<ServingView, 'registry' | 'latest'>;
  readonly caughtUp: () => boolean;
  readonly now?: () => number;
}): Router {
  const { view, caughtUp, now = Date.now } = of;
  const router = Router();
  let kept: { readonly atMs: number; readonly answer: DevicesSeen } | undefined;
  addRoute(router, '/devices-seen', {
    GET: (_request, response) => {
      if (!caughtUp())
        throw new PlatformError(
          'UPSTREAM_UNAVAILABLE',
          'Cannot count devices yet: the streams are being read; ask again in a moment',
        );
      const nowMs = now();
      if (kept === undefined || nowMs - kept.atMs >= keptMs) {
        const last = (building: string, device: string) =>
          view.latest.lastReceivedMs(building, device);
        const answer = devicesSeen(view.registry.all(), last, { windowMs, nowMs });
        kept = { atMs: nowMs, answer };
      }
      response.json(kept.answer);
    },
  });
  return router;
}

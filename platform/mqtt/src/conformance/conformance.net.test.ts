import { afterAll } from 'vitest';
import { MemoryBroker } from './test-memory-broker.ts';
import { conformanceSuite } from './test-suite.ts';

const broker = await MemoryBroker.open({ receiveMaximum: 20 });
const target = { connect: () => broker.connect(), patienceMs: 5000, quietMs: 60 };

afterAll(() => broker[Symbol.asyncDispose]());

conformanceSuite('the MQTT room', () => target);

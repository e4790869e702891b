import { expect, test } from 'vitest';
import { commandOf, expand, replacePaths } from './pod-command.ts';
import { podSchema } from './pod-spec.ts';

const folders = new Map([
  ['/app', '/checkout'],
  ['/var/lib/x', '/pod/volumes/x'],
  ['/var/lib/x/deep', '/pod/volumes/deep'],
]);

test.each([
  ['/var/lib/x', '/pod/volumes/x'],
  ['/var/lib/x/file', '/pod/volumes/x/file'],
  ['/var/lib/x/deep/file', '/pod/volumes/deep/file'],
  ['/var/lib/xy', '/var/lib/xy'],
  ['--allow-fs-read=/var/lib/x', '--allow-fs-read=/pod/volumes/x'],
  ['{"root":"/var/lib/x"}', '{"root":"/pod/volumes/x"}'],
  ['https://host/var/lib/x', 'https://host/var/lib/x'],
  ['/var/lib/x:/app/y', '/pod/volumes/x:/checkout/y'],
])('%s becomes %s', (text, replaced) => {
  expect(replacePaths(text, folders)).toBe(replaced);
});

test('a name in brackets is replaced by what was set before', () => {
  expect(expand('$(A)-$$(A)-$(B)', { A: '1' })).toBe('1-$(A)-$(B)');
});

const container = {
  name: 'one',
  args: ['platform/x/src/main.ts', '--dir=/var/lib/x'],
  envFrom: [{ prefix: 'ALL_', secretRef: { name: 'keys' } }],
  env: [
    { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'HOST', value: '$(POD_IP)' },
    { name: 'KEY_FILE', value: '/var/lib/x/key' },
    { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
    { name: 'MAYBE', valueFrom: { secretKeyRef: { name: 'keys', key: 'no', optional: true } } },
  ],
};
const pod = podSchema.parse({
  metadata: { name: 'pod', namespace: 'ns', uid: 'u' },
  spec: { containers: [container] },
});
const [parsed] = pod.spec.containers;

function commandWith(keys: Readonly<Record<string, Buffer>> | undefined) {
  if (parsed === undefined) throw new Error('one container');
  const data = { secret: () => keys, configMap: () => undefined };
  return commandOf({ pod, container: parsed, podIp: '127.1.0.1', data, folders });
}

test('a container runs in the checkout with what its pod says', () => {
  expect(commandWith({ key: Buffer.from('secret') })).toEqual({
    command: [
      process.execPath,
      '--enable-source-maps',
      'platform/x/src/main.ts',
      '--dir=/pod/volumes/x',
    ],
    cwd: '/checkout',
    env: {
      ALL_key: 'secret',
      POD_IP: '127.1.0.1',
      HOST: '127.1.0.1',
      KEY_FILE: '/pod/volumes/x/key',
      KEY: 'secret',
    },
  });
});

test('what is missing is named', () => {
  expect(() => commandWith(undefined)).toThrow('secret "keys" not found');
  expect(() => commandWith({})).toThrow("couldn't find key key in secret keys");
});

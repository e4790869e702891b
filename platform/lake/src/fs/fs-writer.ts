/** For tests: a process that writes objects until it is killed, and says what it has been promised. */
import { crc32cOf } from '../model/crc32c.ts';
import { FsObjectStore } from './fs-object-store.ts';

const [root = '', folder = ''] = process.argv.slice(2);
const store = new FsObjectStore(root);

/** Content that says by itself whether it is whole. */
function contentOf(index: number): Buffer {
  const body = Buffer.alloc(50_000 + index * 97, `${folder}-${index};`);
  return Buffer.concat([body, Buffer.from(crc32cOf(body))]);
}

for (let index = 0; ; index += 1) {
  const created = await store.createOnly(`${folder}/objects/${index}`, contentOf(index));
  await store.replacePointer(`${folder}/latest.json`, contentOf(index));
  process.stdout.write(`${index} ${created}\n`);
}

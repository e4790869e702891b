import { Admin } from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { platformErrorOf } from './errors.ts';

const clientRetries = { retries: 20, retryDelay: 200, connectTimeout: 2_000 };

/** Runs `work` with a client that is closed afterwards. Throws one of ours, which names what was being done. */
export async function withAdmin<Result>(
  client: ClientOptions,
  doing: string,
  work: (admin: Admin) => Promise<Result>,
): Promise<Result> {
  const admin = new Admin({ ...client, ...clientRetries, clientId: 'domicile-admin' });
  try {
    return await work(admin);
  } catch (error) {
    throw platformErrorOf(error, doing);
  } finally {
    await admin.close().catch(() => {});
  }
}

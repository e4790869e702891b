/** A server for tests of the process kubelet: `?query` answers what it was given, and `/fail` makes it unhealthy. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [port = '8080', secretFile = '', answer = ''] = process.argv.slice(2);
let isHealthy = true;

async function answered(pathname: string, of: string | null): Promise<string | Buffer> {
  if (pathname === '/fail') isHealthy = false;
  if (pathname === '/secret') return readFileSync(secretFile);
  if (of === null) return answer;
  const asked = await fetch(of).catch((error: unknown) => error);
  return asked instanceof Response ? asked.text() : 'unreachable';
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://test');
  if (pathname === '/health') response.statusCode = isHealthy ? 200 : 500;
  void answered(pathname, searchParams.get('of')).then((content) => response.end(content));
});
server.listen(Number(port), '0.0.0.0');
process.once('SIGTERM', () => {
  server.close();
  void sleep(50).then(() => server.closeAllConnections());
});

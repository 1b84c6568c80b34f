import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface Health {
  /** Why this replica should be started anew; `undefined` while it is well. */
  readonly dead: () => string | undefined;
  /** Why it cannot work yet; a replica that stands by is ready. */
  readonly unready: () => string | undefined;
}

export interface ListeningServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `/healthz` and `/readyz`, for the kubelet. */
export function serveHealth(port: number, health: Health): Promise<ListeningServer> {
  const server = createServer((request, response) => {
    const check = { '/healthz': health.dead, '/readyz': health.unready }[request.url?.split('?')[0] ?? ''];
    const wrong = check?.();
    response.writeHead(check === undefined ? 404 : wrong === undefined ? 200 : 503, { 'content-type': 'text/plain' });
    response.end(check === undefined ? 'not found\n' : `${wrong ?? 'ok'}\n`);
  });
  return listen(server, port);
}

/** `/metrics`, for Prometheus. */
export function serveMetrics(port: number, registry: Registry): Promise<ListeningServer> {
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  return listen(server, port);
}

async function listen(server: Server, port: number): Promise<ListeningServer> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once('error', reject);
  server.listen(port, () => resolve(undefined));
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface StubServer {
  readonly endpoint: string;
  /** What was asked so far, `METHOD /path`. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

/** An HTTP server on the loopback address that answers as the test says: for what a real service will not do on demand. */
export async function startStub(answer: (request: IncomingMessage, response: ServerResponse, count: number) => void): Promise<StubServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    request.resume();
    request.on('end', () => answer(request, response, requests.length));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the stub has no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    requests,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// Stands before the API server, passes everything on, and has the client killed right after the server carried out its k-th
// write: the client never hears of it, which is the worst moment there is.
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

/** Renewals of the lease and events come at any time; the decisions' own writes are what is counted. */
function isCounted(method: string, path: string): boolean {
  return method !== 'GET' && !/\/(leases|events)(\/|\?|$)/.test(path);
}

export class KillingProxy {
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #target: URL;
  #killAfter = Infinity;
  #kill: () => void = () => undefined;
  /** `METHOD path` of every counted write that succeeded, since `arm`. */
  readonly writes: string[] = [];
  /** Names of the Jobs that were made, since `arm`. */
  readonly jobs: string[] = [];

  /** @param kubeconfig - of the API server; only its address and authority are used, not its user */
  constructor(kubeconfig: string) {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error(`${kubeconfig} names no cluster`);
    const ca = cluster.caData === undefined ? readFileSync(cluster.caFile ?? '') : Buffer.from(cluster.caData, 'base64');
    this.#target = new URL(cluster.server);
    this.#agent = new Agent({ ca, keepAlive: true });
    this.#server = createServer((request, response) => this.#pass(request, response));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Forgets what was counted. `kill` is called once, after the `killAfter`-th write from now on. */
  arm(killAfter: number, kill: () => void): void {
    this.writes.length = 0;
    this.jobs.length = 0;
    this.#killAfter = killAfter;
    this.#kill = kill;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const method = request.method ?? 'GET';
    const path = request.url ?? '/';
    const headers = { ...request.headers, host: this.#target.host };
    const isNewJob = method === 'POST' && /\/jobs(\?|$)/.test(path);
    const body: Buffer[] = [];
    if (isNewJob) request.on('data', (chunk: Buffer) => body.push(chunk));
    const upstream = httpsRequest({ host: this.#target.hostname, port: this.#target.port, method, path, headers, agent: this.#agent }, (answer) => {
      const status = answer.statusCode ?? 500;
      if (isNewJob && status < 300) this.jobs.push(nameIn(body));
      if (isCounted(method, path) && status < 300 && this.#isLast(method, path)) {
        this.#killAfter = Infinity;
        this.#kill();
        answer.resume();
        response.destroy();
        return;
      }
      response.writeHead(status, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  }

  #isLast(method: string, path: string): boolean {
    this.writes.push(`${method} ${path.split('?')[0] ?? ''}`);
    return this.writes.length === this.#killAfter;
  }
}

/** The name of the object that a request's body asks for. */
function nameIn(body: readonly Buffer[]): string {
  return (JSON.parse(Buffer.concat(body).toString('utf8')) as { metadata: { name: string } }).metadata.name;
}

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions as HttpsOptions } from 'node:https';
import { createInterface } from 'node:readline';
import type { KubeConfig } from '@kubernetes/client-node';
import { codeOf, KubeError } from './errors.ts';

const MAX_SOCKETS = 64;
/** An answer to a plain request; a watch or a log has no such bound. */
const REQUEST_TIMEOUT_MS = 30_000;
/** A CRD is seldom installed anew with other versions, and whoever then asks in vain asks again. */
const VERSION_BELIEVED_MS = 10 * 60_000;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Readonly<Record<string, string | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** `application/json` where absent; patches name their own. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Told of each request when its answer's head is there, for metrics. */
export type RequestObserver = (method: Method, path: string, status: number) => void;

/**
 * HTTP to one API server. Authentication is the client library's (`KubeConfig`: certificates, exec plugins, rotating tokens); the requests
 * are made here, for the library's generated models cost more memory than the objects that they carry.
 */
export class KubeConnection {
  readonly #config: KubeConfig;
  readonly #base: URL;
  readonly #observer: RequestObserver;
  /** Preferred versions of groups, each with the time until which it is believed, milliseconds, monotonic. */
  readonly #versions = new Map<string, { readonly version: string; readonly until: number }>();
  #agent: HttpAgent | HttpsAgent | undefined;

  constructor(config: KubeConfig, observer: RequestObserver = () => undefined) {
    const cluster = config.getCurrentCluster();
    if (cluster === null) {
      throw new KubeError('Unavailable', 'no cluster is configured; set KUBECONFIG, or run inside a pod with a service account');
    }
    this.#config = config;
    this.#base = new URL(cluster.server);
    this.#observer = observer;
  }

  /** For what speaks another protocol than HTTP: a command in a pod. */
  get config(): KubeConfig {
    return this.#config;
  }

  /**
   * One request, its JSON answer.
   * @throws {KubeError}
   */
  async request<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    const response = await this.#send(method, path, { ...options, signal });
    const text = await readText(response);
    if (!isSuccess(response)) throw errorOf(response, text, method, path);
    return JSON.parse(text) as T;
  }

  /** The lines of an answer that goes on: a watch, or a log that is followed. Ends when the server ends it. */
  async *lines(path: string, options: RequestOptions = {}): AsyncGenerator<string> {
    const response = await this.#send('GET', path, options);
    if (!isSuccess(response)) throw errorOf(response, await readText(response), 'GET', path);
    try {
      for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
        if (line !== '') yield line;
      }
    } catch (error) {
      throw transportError(error, 'GET', path, options.signal);
    } finally {
      response.destroy();
    }
  }

  /**
   * The version of an API group that the server prefers.
   * @throws {KubeError} `NotFound` when it has no such group
   */
  async preferredVersion(group: string, signal?: AbortSignal): Promise<string> {
    const known = this.#versions.get(group);
    if (known !== undefined && performance.now() < known.until) return known.version;
    const { preferredVersion } = await this.request<{ preferredVersion: { version: string } }>('GET', `/apis/${group}`, { signal });
    this.#versions.set(group, { version: preferredVersion.version, until: performance.now() + VERSION_BELIEVED_MS });
    return preferredVersion.version;
  }

  /** Closes the sockets that are kept open between requests. */
  close(): void {
    this.#agent?.destroy();
  }

  async #send(method: Method, path: string, options: RequestOptions): Promise<IncomingMessage> {
    const authorized: HttpsOptions = {};
    await this.#config.applyToHTTPSOptions(authorized);
    const url = new URL(this.#base.href.replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(options.query ?? {})) if (value !== undefined) url.searchParams.set(name, value);
    const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
    const headers: Record<string, string | number> = { accept: 'application/json', 'user-agent': 'tenant-backup' };
    const authorization = authorizationOf(authorized);
    if (authorization !== undefined) headers['authorization'] = authorization;
    if (body) {
      headers['content-type'] = options.contentType ?? 'application/json';
      headers['content-length'] = body.length;
    }
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const sent = open(url, { method, headers, agent: this.#agentFor(authorized, url), ...(options.signal ? { signal: options.signal } : {}) }, resolve);
    sent.on('error', reject);
    sent.end(body);
    try {
      const response = await promise;
      this.#observer(method, path, response.statusCode ?? 0);
      return response;
    } catch (error) {
      this.#observer(method, path, 0);
      throw transportError(error, method, path, options.signal);
    }
  }

  #agentFor(authorized: HttpsOptions, url: URL): HttpAgent | HttpsAgent {
    if (this.#agent) return this.#agent;
    const pool = { keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: 'lifo' as const };
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = authorized;
    const given = Object.entries({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername }).filter(([, value]) => value !== undefined);
    this.#agent = url.protocol === 'https:' ? new HttpsAgent({ ...pool, ...Object.fromEntries(given) }) : new HttpAgent(pool);
    return this.#agent;
  }
}

/** The library says `Authorization` in the headers, or a user and password in `auth`. */
function authorizationOf(options: HttpsOptions): string | undefined {
  const headers = options.headers;
  if (headers && !Array.isArray(headers)) {
    const header = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
    if (typeof header === 'string') return header;
  }
  return options.auth ? `Basic ${Buffer.from(options.auth).toString('base64')}` : undefined;
}

function isSuccess(response: IncomingMessage): boolean {
  return response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300;
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function errorOf(response: IncomingMessage, text: string, method: Method, path: string): KubeError {
  const status = response.statusCode ?? 0;
  const answer = parseStatus(text);
  const words = answer.message ?? text.slice(0, 500);
  return new KubeError(codeOf(status, answer.reason), `${method} ${path}: ${words} (HTTP ${status})`, { status });
}

function parseStatus(text: string): { reason?: string; message?: string } {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null) return {};
    const { reason, message } = parsed as { reason?: unknown; message?: unknown };
    return { ...(typeof reason === 'string' ? { reason } : {}), ...(typeof message === 'string' ? { message } : {}) };
  } catch {
    return {};
  }
}

function transportError(error: unknown, method: Method, path: string, signal: AbortSignal | undefined): KubeError {
  if (error instanceof KubeError) return error;
  const words = error instanceof Error ? error.message : String(error);
  if (signal?.aborted && !(signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError')) {
    return new KubeError('Aborted', `${method} ${path} was cancelled`, { cause: error });
  }
  return new KubeError('Unavailable', `the API server did not answer ${method} ${path}: ${words}`, { cause: error });
}

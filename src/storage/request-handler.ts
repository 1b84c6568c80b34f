import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler';

const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;

export interface HttpOptions {
  /** PEM of certificate authorities to trust beside the system's. */
  readonly caBundle?: string;
  /** Milliseconds until a connection must stand. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds that a connection may be silent in the middle of a request or an answer. */
  readonly idleTimeoutMs?: number;
}

/** How S3, STS and KMS are reached. The agents set no limit of sockets: a queue in there would count as time to connect. */
export function requestHandler(options: HttpOptions): NodeHttpHandler {
  return new NodeHttpHandler(handlerOptions(options));
}

export function handlerOptions(options: HttpOptions): NodeHttpHandlerOptions {
  const agent = { keepAlive: true, maxFreeSockets: 64 };
  const trust = options.caBundle === undefined ? {} : { ca: [...getCACertificates('default'), options.caBundle] };
  return {
    connectionTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    socketTimeout: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    httpAgent: new HttpAgent(agent),
    httpsAgent: new HttpsAgent({ ...agent, ...trust }),
  };
}

// Faults of a network between two places, by a proxy that makes them on purpose.
import { binary } from '../ground/binaries.ts';
import { until } from '../ground/run.ts';
import { freePort, startProcess } from './loopback-process.ts';

export type Toxic =
  | { readonly type: 'latency'; readonly attributes: { readonly latency: number; readonly jitter: number } }
  /** The connection is reset after so many milliseconds. */
  | { readonly type: 'reset_peer'; readonly attributes: { readonly timeout: number } }
  /** Nothing comes any more, and the connection stays: 0 for ever. */
  | { readonly type: 'timeout'; readonly attributes: { readonly timeout: number } }
  | { readonly type: 'limit_data'; readonly attributes: { readonly bytes: number } };

export interface Toxiproxy {
  /** What reaches the service through it, `http://127.0.0.1:port`. */
  readonly endpoint: string;
  /** Poisons a share of the connections from now on, those of requests or of answers. */
  readonly poison: (toxic: Toxic, toxicity: number, stream: 'upstream' | 'downstream') => Promise<void>;
  readonly cut: (isCut: boolean) => Promise<void>;
  readonly heal: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** A proxy before the service at `endpoint`. */
export async function startToxiproxy(endpoint: string): Promise<Toxiproxy> {
  const [control, port] = [await freePort(), await freePort()];
  const stop = startProcess(await binary('toxiproxy'), ['-host', '127.0.0.1', '-port', String(control)], { LOG_LEVEL: 'error' });
  const api = `http://127.0.0.1:${control}`;
  const ask = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await fetch(`${api}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok) throw new Error(`toxiproxy: ${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  await until(`toxiproxy at ${api}`, 30, () => fetch(`${api}/version`).then(({ ok }) => ok));
  await ask('POST', '/proxies', { name: 'line', listen: `127.0.0.1:${port}`, upstream: new URL(endpoint).host, enabled: true });
  let toxics = 0;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    poison: (toxic, toxicity, stream) => ask('POST', '/proxies/line/toxics', { name: `toxic-${(toxics += 1)}`, stream, toxicity, ...toxic }),
    cut: (isCut) => ask('POST', '/proxies/line', { enabled: !isCut }),
    heal: () => ask('POST', '/reset'),
    stop,
  };
}

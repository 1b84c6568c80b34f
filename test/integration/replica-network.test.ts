import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { replicateLocation } from '../../src/mover/replicate/index.ts';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { FakeTenant, LOCK, keysOf } from '../support/replicated-tenant.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { startToxiproxy, type Toxic, type Toxiproxy } from '../support/toxiproxy.ts';
import { hasAttributes, startVersity } from '../support/versity.ts';

const REPLICATED = /^[0-9a-f]{32}\/(?:tenant\/|audit\/|g1\/(?:config|keys|wrappings|data|index|exports|snapshots|manifests))/;
const now = () => new Date();
let services: { readonly a: S3Service; readonly b: S3Service };
let lines: { readonly a: Toxiproxy; readonly b: Toxiproxy };
let prefixes = 0;

beforeAll(async () => {
  services = { a: await startS3(), b: await startS3({ objectLock: true }) };
  lines = { a: await startToxiproxy(services.a.endpoint), b: await startToxiproxy(services.b.endpoint) };
}, 300_000);
afterAll(async () => {
  await Promise.all([lines.a.stop(), lines.b.stop()]);
  await Promise.all([services.a.stop(), services.b.stop()]);
});

function open({ endpoint, region, bucket, accessKeyId, secretAccessKey }: S3Service, prefix: string, through = endpoint): Promise<ObjectStore> {
  return openStore(`s3://${bucket}/${prefix}?endpoint=${through}&region=${region}`, {
    s3: { credentials: { accessKeyId, secretAccessKey }, idleTimeoutMs: 1_500, connectTimeoutMs: 1_500 },
    retry: { attempts: 12, baseDelayMs: 20, maxDelayMs: 300 },
  });
}

function replicate(source: ObjectStore, replica: ObjectStore) {
  const signal = new AbortController().signal;
  return replicateLocation({ source, replica, lock: { ...LOCK, retainForMs: 600_000 }, shard: 0, shards: 1, tenants: undefined, released: [], concurrency: 8, signal, now: Date.now, onProgress: () => undefined });
}

async function expectSame(source: ObjectStore, replica: ObjectStore): Promise<void> {
  const [from, to] = [source.within('tenants'), replica.within('tenants')];
  const keys = (await keysOf(from)).filter((key) => REPLICATED.test(key));
  expect((await keysOf(to)).filter((key) => REPLICATED.test(key))).toEqual(keys);
  for (const key of keys) expect(Buffer.from(await to.get(key)).equals(await from.get(key))).toBe(true);
}

async function fill(source: ObjectStore): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    const tenant = await new FakeTenant(source, now).begin();
    for (let backups = 0; backups < 3; backups += 1) await tenant.backup(4);
  }
}

describe('replicating over a bad line', () => {
  let source: ObjectStore;
  let replica: ObjectStore;
  let bad: { readonly source: ObjectStore; readonly replica: ObjectStore };

  beforeEach(async () => {
    await Promise.all([lines.a.heal(), lines.b.heal()]);
    prefixes += 1;
    [source, replica] = [await open(services.a, `p${prefixes}`), await open(services.b, `p${prefixes}`)];
    bad = { source: await open(services.a, `p${prefixes}`, lines.a.endpoint), replica: await open(services.b, `p${prefixes}`, lines.b.endpoint) };
    await fill(source);
  });

  it.each<[string, Toxic, number]>([
    ['that is slow', { type: 'latency', attributes: { latency: 40, jitter: 40 } }, 1],
    ['that resets connections', { type: 'reset_peer', attributes: { timeout: 20 } }, 0.3],
    ['whose connections stay open and bring nothing more', { type: 'timeout', attributes: { timeout: 0 } }, 0.15],
    ['that cuts connections in the middle of an answer', { type: 'limit_data', attributes: { bytes: 2_500 } }, 0.5],
  ])('%s ends with the same bytes on both sides', async (_, toxic, toxicity) => {
    for (const line of [lines.a, lines.b]) for (const stream of ['upstream', 'downstream'] as const) await line.poison(toxic, toxicity, stream);

    const { tenants, findings, failure } = await replicate(bad.source, bad.replica);

    expect({ failure, findings, states: tenants.map(({ state }) => state) }).toEqual({ failure: undefined, findings: [], states: ['done', 'done', 'done'] });
    await expectSame(source, replica);
  }, 120_000);

  it('to a service that answers every third request with 503 or 500 ends with the same bytes', async () => {
    const { server, endpoint } = await startFailing(services.b.endpoint);
    try {
      const { tenants, failure } = await replicate(source, await open(services.b, `p${prefixes}`, endpoint));
      expect({ failure, states: tenants.map(({ state }) => state) }).toEqual({ failure: undefined, states: ['done', 'done', 'done'] });
      await expectSame(source, replica);
    } finally {
      server.close();
    }
  }, 120_000);

  it.each(['a', 'b'] as const)('that is cut on side %s says why it waits, and is made up for', async (side) => {
    await lines[side].cut(true);
    const cut = await replicate(bad.source, bad.replica);
    expect(cut.failure).toMatchObject({ code: 'Unavailable', retryable: true, message: expect.stringContaining(new URL(lines[side].endpoint).host) });
    expect(cut.findings).toEqual([]);
    await lines[side].cut(false);

    expect((await replicate(bad.source, bad.replica)).tenants.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
    await expectSame(source, replica);
  }, 120_000);
});

(hasAttributes() ? describe : describe.skip)('another service', () => {
  it('holds a replica as well: copied, extended, seen to be tampered with', async () => {
    const versity = await startVersity({ objectLock: true, inAttributes: true });
    try {
      const [source, replica] = [await open(services.a, 'versity'), await open(versity, 'versity')];
      await fill(source);
      expect((await replicate(source, replica)).tenants.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
      await expectSame(source, replica);
      expect((await replicate(source, replica)).tally).toMatchObject({ objects: 0, extended: 0 });
      const victim = (await keysOf(replica.within('tenants'))).find((key) => key.includes('/snapshots/'))!;
      await replica.within('tenants').delete(victim);
      expect((await replicate(source, replica)).findings).toMatchObject([{ kind: 'Tampered', count: 1 }]);
    } finally {
      await versity.stop();
    }
  }, 120_000);
});

/** Passes requests on, and every third not. */
async function startFailing(endpoint: string): Promise<{ readonly server: Server; readonly endpoint: string }> {
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    count += 1;
    if (count % 3 === 0) {
      incoming.resume();
      incoming.on('end', () => outgoing.writeHead(count % 2 === 0 ? 503 : 500).end());
      return;
    }
    const onward = request(`${endpoint}${incoming.url ?? '/'}`, { method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  return { server, endpoint: `http://127.0.0.1:${address.port}` };
}

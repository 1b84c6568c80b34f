import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicationOrders } from '../../src/api/index.ts';
import { runReplication } from '../../src/mover/index.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

describe('a worker of the second data center', () => {
  let stub: StubServer;
  let directory: string;
  beforeAll(async () => {
    stub = await startStub((request, response) => {
      const root = request.url?.includes('versions') === true ? 'ListVersionsResult' : 'ListBucketResult';
      response.writeHead(200, { etag: '"e"' }).end(request.method === 'GET' ? `<${root}></${root}>` : '');
    });
    directory = await mkdtemp(join(tmpdir(), 'worker-pulse-'));
    await writeFile(join(directory, 'replica.json'), JSON.stringify({ version: 1, s3: { accessKeyId: 'a', secretAccessKey: 's' }, kms: {} }));
  });
  afterAll(async () => {
    await stub.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('gets on with what its storage services answer', async () => {
    const orders = ReplicationOrders.parse({
      version: 1,
      task: 'collect',
      attempt: { name: 'tbmover-x-1', number: 1, uid: 'u' },
      runId: '20260302040000-c1',
      replica: { bucket: 'second', prefix: 'p', region: 'eu', endpoint: stub.endpoint, forcePathStyle: true, credentialsFile: 'replica.json' },
      lock: { mode: 'COMPLIANCE', retainForMs: 86_400_000 },
      shards: 1,
      released: [],
      dryRun: true,
    });
    const answered: string[] = [];
    const lines = { progress: () => undefined, alive: () => undefined, trouble: () => undefined, end: () => undefined };
    await runReplication(orders, { ordersDirectory: directory, shard: 0, lines, pulse: { answered: (key) => void answered.push(key) }, signal: new AbortController().signal, now: () => Date.now(), peakMemory: () => 0 });
    expect(answered).toContain('replication/20260302040000-c1-0.json');
  });
});

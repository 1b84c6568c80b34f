// Whose word a worker's result is: in Push it lies in the first bucket, and whoever holds that one's credentials can put another there, beforehand or afterwards.
import { hash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ReplicationOrders, ReplicationResult, replicationResultKey } from '../../src/api/index.ts';
import { readResult } from '../../src/cmd/operator/read-result.ts';
import { resultsTold } from '../../src/decide/index.ts';
import { runReplication } from '../../src/mover/index.ts';
import { writeReplicationMessage } from '../../src/mover/result.ts';
import { canonicalJson, MemoryStore } from '../../src/storage/index.ts';
import { podOf } from '../support/attempt-facts.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

const KEY = replicationResultKey('20260302040000-c1', 3);
const orders = (endpoint: string) =>
  ReplicationOrders.parse({
    version: 1,
    task: 'collect',
    attempt: { name: 'tbmover-x-1', number: 1, uid: 'u' },
    runId: '20260302040000-c1',
    replica: { bucket: 'second', prefix: 'p', region: 'eu', endpoint, forcePathStyle: true, credentialsFile: 'replica.json' },
    lock: { mode: 'COMPLIANCE', retainForMs: 86_400_000 },
    shards: 4,
    released: [],
    dryRun: true,
  });
const lines = { progress: () => undefined, alive: () => undefined, trouble: () => undefined, end: () => undefined };

describe('the result of a worker', () => {
  let stub: StubServer;
  let directory: string;
  let left: Buffer;
  let answerPut: (response: ServerResponse) => void;

  beforeEach(async () => {
    answerPut = (response) => response.writeHead(200, { etag: '"e"' }).end();
    stub = await startStub((request: IncomingMessage, response) => {
      if (request.method !== 'PUT') {
        const root = request.url?.includes('versions') === true ? 'ListVersionsResult' : 'ListBucketResult';
        return void response.writeHead(200, { etag: '"e"' }).end(request.method === 'GET' ? `<${root}></${root}>` : '');
      }
      answerPut(response);
    });
    directory = await mkdtemp(join(tmpdir(), 'worker-result-'));
    await writeFile(join(directory, 'replica.json'), JSON.stringify({ version: 1, s3: { accessKeyId: 'a', secretAccessKey: 's' }, kms: {} }));
  });
  afterEach(async () => {
    await stub.stop();
    await rm(directory, { recursive: true, force: true });
  });

  /** Runs a worker; what the operator learns of its pod. */
  async function told(): Promise<ReadonlyMap<number, string>> {
    const { result, sha256 } = await runReplication(orders(stub.endpoint), { ordersDirectory: directory, shard: 3, lines, pulse: { answered: () => undefined }, signal: new AbortController().signal, now: () => Date.now(), peakMemory: () => 0 });
    left = Buffer.from(canonicalJson(result));
    const path = join(directory, 'termination-log');
    await writeReplicationMessage(path, result, sha256);
    const message = await readFile(path, 'utf8');
    expect(Buffer.byteLength(message)).toBeLessThan(2048);
    return resultsTold([podOf({ shard: 3, terminated: { exitCode: 0, reason: 'Completed', message } })]);
  }

  it('is told by its pod as well, so that another one in its place counts as none', async () => {
    const sha256 = (await told()).get(3);
    expect(sha256).toBe(hash('sha256', left, 'hex'));

    const bucket = new MemoryStore('first');
    const read = (expected: string | undefined, mostBytes = 1 << 20) => readResult(bucket, { key: KEY, name: KEY, mostBytes, writer: 'worker', sha256: expected }, new AbortController().signal);
    expect(await read(sha256)).toBeUndefined();
    await bucket.put(KEY, left);
    expect(ReplicationResult.safeParse(await read(sha256)).success).toBe(true);
    for (const forged of [Buffer.from(left.toString().replace('"findings":[]', '"findings":[ ]')), Buffer.from('encrypted, pay me'), Buffer.alloc(0)]) {
      await bucket.put(KEY, forged);
      expect(await read(sha256)).toBeUndefined();
    }
    await bucket.put(KEY, Buffer.alloc(4096));
    expect(await read(sha256, 1024)).toBeUndefined();
    await expect(read(undefined)).rejects.toThrow('is no JSON');
  });

  it('is told also where somebody put one there beforehand', async () => {
    answerPut = (response) => response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>');
    expect([...(await told()).keys()]).toEqual([3]);
  });

  it('is not told where none could be left, for then nobody took it away', async () => {
    answerPut = (response) => response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
    expect([...(await told()).keys()]).toEqual([]);
  });

  it.each(['', 'no JSON', '{"sha256":"short"}', '{"counts":{}}'])('is not told by a pod that says %j', (message) => {
    expect([...resultsTold([podOf({ shard: 0, terminated: { exitCode: 1, reason: 'Error', message } }), podOf({ shard: 1 })]).keys()]).toEqual([]);
  });
});

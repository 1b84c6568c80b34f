// Erasure in a real bucket with Object Lock, its events in a real trail, carried out as the controller does.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { readEvents, verifyTrail } from '../../src/audit/index.ts';
import type { BackupLocation, BackupTenant } from '../../src/api/index.ts';
import { RealAuditRecorder } from '../../src/cmd/operator/audit-recorder.ts';
import { SecretSigner } from '../../src/cmd/operator/installation-signer.ts';
import { RealTenantEraser } from '../../src/cmd/operator/tenant-eraser.ts';
import { carryOutErasure, type ErasureOutcome } from '../../src/controller/tenant/erasure.ts';
import type { Caches } from '../../src/controller/index.ts';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { ApiServer } from '../support/api-server.ts';
import { bucketLocation } from '../support/bucket-location.ts';
import { startTogether } from '../support/loopback-process.ts';
import { startS3, type S3Service } from '../support/services.ts';

const [GONE, STAYS] = ['ab'.repeat(16), 'cd'.repeat(16)];
const LOCK_MS = 6000;

let api: ApiServer;
let s3: S3Service;
let store: ObjectStore;
let location: BackupLocation;

beforeAll(async () => {
  [api, s3] = await startTogether([ApiServer.start(), startS3({ objectLock: true })]);
  store = await openStore(`s3://${s3.bucket}/dc/tenants?endpoint=${s3.endpoint}&region=${s3.region}`, { s3: { credentials: { accessKeyId: s3.rootAccessKeyId, secretAccessKey: s3.rootSecretAccessKey } } });
  location = bucketLocation(s3);
}, 120_000);
afterAll(async () => {
  await store.close();
  await Promise.all([api.stop(), s3.stop()]);
});

async function contentOf(tenantId: string): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for await (const { key, versions, markers } of store.versions!.list(`${tenantId}/`)) {
    for (const { versionId } of versions) content[`${key} ${versionId}`] = createHash('sha256').update(await store.versions!.get(key, versionId)).digest('hex');
    for (const marker of markers) content[`${key} ${marker}`] = 'marker';
  }
  return content;
}

describe('an erasure in a bucket with Object Lock', () => {
  it('destroys what it may at once, the rest when its lock ends, nothing of anybody else, and certifies it in the chain', async () => {
    for (const tenant of [GONE, STAYS]) {
      for (const key of ['g1/config', 'g1/data/aa/one', 'g1/index/two', 'g1/keys/three', 'g2/config', 'tenant/1.json', 'imports/x/config']) await store.put(`${tenant}/${key}`, Buffer.from(key));
      const retention = { mode: 'COMPLIANCE', until: new Date(Date.now() + LOCK_MS) } as const;
      for (const key of ['g1/wrappings/first.json', 'g1/wrappings/k.json', 'g2/wrappings/k.json']) await store.put(`${tenant}/${key}`, Buffer.from(key), { retention });
      await store.put(`${tenant}/g1/data/aa/gone`, Buffer.from('x'));
      // What was deleted lies under a delete marker; all of it counts.
      await store.delete(`${tenant}/g1/data/aa/gone`);
    }
    const [before, all] = [await contentOf(STAYS), Object.keys(await contentOf(GONE)).length];
    const secrets = { lookup: () => ({ accessKeyId: s3.rootAccessKeyId, secretAccessKey: s3.rootSecretAccessKey }), namespace: 'default' };
    const dependencies = {
      caches: {} as Pick<Caches, 'jobs' | 'locations'>,
      audit: new RealAuditRecorder(new SecretSigner(api.connect(), 'default', { info: () => undefined }), secrets, { info: () => undefined }),
      eraser: new RealTenantEraser(secrets),
      clock: { now: () => Date.now() },
    };
    let tenant = {
      metadata: { name: 'shop-1', uid: 'u', generation: 1 },
      spec: { tenantId: GONE, namespace: 'shop', namespaceUID: 'ns', location: 'here', erasure: { confirm: GONE, requestedBy: 'erika@example.com' } },
    } as unknown as BackupTenant;
    const facts = { isNamespaceThere: false, policies: 0, backups: [], movers: [], location };
    const told: string[] = [];
    let outcome: ErasureOutcome | undefined;
    for (let step = 0; step < 20 && outcome?.status.phase !== 'Erased'; step += 1) {
      outcome = await carryOutErasure(dependencies, tenant, facts, AbortSignal.timeout(30_000));
      const { status, condition } = outcome!;
      tenant = { ...tenant, status: { erasure: status, conditions: [{ ...condition, lastTransitionTime: '' }] } };
      told.push(`${status.phase} ${condition.reason}`);
      if (told.length === 2) {
        // Keys are locked: not a thing else has gone before them.
        expect(Object.keys(await contentOf(GONE)).filter((key) => key.includes('/g1/data/'))).toHaveLength(3);
      }
      await sleep(Math.min(2000, Math.max(0, (outcome!.wakeAt ?? 0) - Date.now())));
    }

    expect(told.filter((line, at) => line !== told[at - 1])).toEqual(['Erasing Erasing', 'Waiting ErasureWaiting', 'Erasing Erasing', 'Erased Erased']);
    expect(Object.keys(await contentOf(GONE)).every((key) => key.startsWith(`${GONE}/audit/`))).toBe(true);
    expect(await contentOf(STAYS)).toEqual(before);
    const trail = store.within(GONE);
    expect((await verifyTrail(trail, { tenantId: GONE })).findings).toEqual([]);
    const events = [];
    for await (const event of readEvents(trail)) events.push(event);
    expect(events.map(({ action }) => action)).toEqual(['erasure.ordered', 'erasure.keys-destroyed', 'erasure.completed']);
    expect(events[2]?.details).toMatchObject({ removed: all, remaining: 0, secondDataCenter: 'none of this installation' });
    expect(JSON.stringify(events)).not.toContain('erika');
  });

  it('says that the right to delete lacks, and not that a lock holds', async () => {
    await store.put(`${STAYS}/g1/wrappings/free.json`, Buffer.from('x'));
    const reader = { lookup: () => ({ accessKeyId: 'nobody', secretAccessKey: 'nobodys-secret' }), namespace: 'default' };
    await expect(new RealTenantEraser(reader).step(location, STAYS, 'destroyKeys', AbortSignal.timeout(20_000))).rejects.toMatchObject({ name: 'PortError', reason: 'BadCredentials' });
  });
});

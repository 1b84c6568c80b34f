// Events in a real bucket, under keys in a real cluster's Secret.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readEvents, verifyTrail, type AuditEvent } from '../../src/audit/index.ts';
import type { BackupLocation } from '../../src/api/index.ts';
import { RealAuditRecorder } from '../../src/cmd/operator/audit-recorder.ts';
import { AUDIT_SECRET, SecretSigner } from '../../src/cmd/operator/installation-signer.ts';
import { ResourceClient, resourceTypes } from '../../src/kube/index.ts';
import type { RawSecret } from '../../src/controller/index.ts';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { ApiServer } from '../support/api-server.ts';
import { bucketLocation } from '../support/bucket-location.ts';
import { startTogether } from '../support/loopback-process.ts';
import { startS3, type S3Service } from '../support/services.ts';

let api: ApiServer;
let s3: S3Service;
let store: ObjectStore;
let location: BackupLocation;
const TENANT = 'ab'.repeat(16);
const logged: object[] = [];

beforeAll(async () => {
  [api, s3] = await startTogether([ApiServer.start(), startS3()]);
  store = await openStore(`s3://${s3.bucket}/dc?endpoint=${s3.endpoint}&region=${s3.region}`, { s3: { credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey } } });
  location = bucketLocation(s3);
}, 120_000);
afterAll(async () => {
  await store.close();
  await Promise.all([api.stop(), s3.stop()]);
});

function recorder(): RealAuditRecorder {
  const secrets = { lookup: () => ({ accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey }), namespace: 'default' };
  const log = { info: (line: unknown) => void logged.push(line as object) };
  return new RealAuditRecorder(new SecretSigner(api.connect(), 'default', log), secrets, log);
}

function record(by: RealAuditRecorder, id: string, tenant = TENANT): Promise<void> {
  return by.record(location, tenant, { id, action: 'backup.started', requestedBy: 'erika@example.com', object: 'Backup/shop/first', details: { attempt: 1 } }, AbortSignal.timeout(20_000));
}

describe('the recorder of the operator', () => {
  it('makes its keys once, writes one chain with another replica, and knows its events after a restart', async () => {
    const [one, other] = [recorder(), recorder()];
    await Promise.all(['a', 'b', 'c'].flatMap((id) => [record(one, `one/${id}`), record(other, `other/${id}`)]));
    await record(recorder(), 'one/c');

    const secret = await new ResourceClient<RawSecret>(api.connect(), resourceTypes.secrets).get(AUDIT_SECRET, 'default');
    const publicKey = Buffer.from(secret?.data?.['publicKey'] ?? '', 'base64').toString();
    const tenantStore = store.within(`tenants/${TENANT}`);
    expect(await verifyTrail(tenantStore, { tenantId: TENANT, trustedKeys: [publicKey] })).toMatchObject({ events: 6, findings: [] });
    const events: AuditEvent[] = [];
    for await (const event of readEvents(tenantStore)) events.push(event);
    expect(new Set(events.map(({ actor }) => actor)).size).toBe(1);
    expect(JSON.stringify(events)).not.toContain('erika');
    expect(events[0]?.actor).toMatch(/^sub-/);
    expect(logged.filter((line) => 'audit' in line)).toHaveLength(6);
    expect(JSON.stringify(logged)).not.toContain(secret?.data?.['signingKey'] ?? 'signingKey');
  });

  it('refuses with what to do where the trail was tampered with, where the bucket is away, and where its keys are lost', async () => {
    const tenant = 'cd'.repeat(16);
    await record(recorder(), 'first', tenant);
    await store.put(`tenants/${tenant}/audit/000000000002.json`, Buffer.from('{}'));
    await expect(record(recorder(), 'second', tenant)).rejects.toMatchObject({ name: 'PortError', reason: 'AuditTampered', retryable: false, message: expect.stringContaining('audit verify') });

    const away: BackupLocation = { ...location, spec: { ...location.spec, s3: { ...location.spec.s3, endpoint: 'http://127.0.0.1:9' } } };
    const event = { id: 'x', action: 'backup.started', object: 'Backup/shop/x', details: {} } as const;
    await expect(recorder().record(away, TENANT, event, AbortSignal.timeout(20_000))).rejects.toMatchObject({ name: 'PortError', reason: 'Unavailable', retryable: true });

    await new ResourceClient<RawSecret>(api.connect(), resourceTypes.secrets).patch(AUDIT_SECRET, 'default', { data: { signingKey: null } });
    await expect(record(recorder(), 'x')).rejects.toMatchObject({ name: 'PortError', reason: 'InvalidKey', message: expect.stringContaining('restore the Secret') });
  });
});

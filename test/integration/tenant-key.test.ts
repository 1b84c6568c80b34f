// What a real API server takes and refuses of a BackupTenant, and what the controller makes of it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupLocation, BackupTenant } from '../../src/api/index.ts';
import { allInformers, makeCaches, tenantController } from '../../src/controller/index.ts';
import { decideTenant } from '../../src/decide/tenant.ts';
import { EventRecorder, ResourceClient, resourceTypes } from '../../src/kube/index.ts';
import { ApiServer } from '../support/api-server.ts';
import { installCrds } from '../support/installed-crds.ts';

let api: ApiServer;
let tenants: ResourceClient<BackupTenant>;
let count = 0;

beforeAll(async () => {
  api = await ApiServer.start();
  await installCrds(api.connect());
  tenants = new ResourceClient<BackupTenant>(api.connect(), resourceTypes.backupTenants);
}, 90_000);
afterAll(() => api.stop());

const SPEC = { tenantId: 'ab'.repeat(16), namespace: 'shop', namespaceUID: 'uid-1', location: 'here' };

function create(changed: object = {}): Promise<BackupTenant> {
  return tenants.create({ apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupTenant', metadata: { name: `t${count++}` }, spec: { ...SPEC, ...changed } });
}

/** As the controller does. */
async function decided(tenant: BackupTenant): Promise<BackupTenant> {
  const { status } = decideTenant(tenant, { namespaceUid: SPEC.namespaceUID, policies: [], backups: [] }, Date.now());
  return tenants.writeStatus(tenant, status);
}

function ask(tenant: BackupTenant, spec: object): Promise<BackupTenant> {
  return tenants.patch(tenant.metadata.name, undefined, { spec });
}

describe('the key of a BackupTenant', () => {
  it('rotates one generation at a time, and never back', async () => {
    const made = await decided(await create());
    expect(made.status?.keyGeneration).toBe(1);

    await expect(ask(made, { keyGeneration: 3 })).rejects.toThrow('one above status.keyGeneration');
    const second = await decided(await ask(made, { keyGeneration: 2 }));
    expect(second.status?.keyGeneration).toBe(2);
    await expect(ask(second, { keyGeneration: 1 })).rejects.toThrow('one above status.keyGeneration');
    await expect(ask(second, { keyGeneration: null })).rejects.toThrow('cannot be taken back');
    expect((await decided(await ask(second, { keyGeneration: 3 }))).status?.keyGeneration).toBe(3);
  });

  it('is asked for of a tenant that no status was written for yet, and of one that is written back', async () => {
    expect((await ask(await create(), { keyGeneration: 2 })).spec.keyGeneration).toBe(2);
    const back = await decided(await create({ keyGeneration: 4 }));
    expect(back.status?.keyGeneration).toBe(4);
  });

  it.each(['tenantId', 'namespace', 'namespaceUID', 'location'])('does not let %s be changed beside it', async (field) => {
    const made = await decided(await create());
    await expect(ask(made, { keyGeneration: 2, [field]: 'cd'.repeat(16) })).rejects.toThrow('they name the data of one customer');
  });
});

/** A tenant controller as the operator runs it, with buckets and trail that tell what they were asked. */
async function runController(left: { count: number }): Promise<{ readonly told: string[]; readonly stop: () => Promise<void> }> {
  const connection = api.connect();
  const told: string[] = [];
  const stopping = new AbortController();
  const caches = makeCaches(connection, 'movers', () => undefined);
  const controller = tenantController({
    caches,
    tenants: new ResourceClient<BackupTenant>(connection, resourceTypes.backupTenants),
    events: new EventRecorder(connection, 'test', () => new Date(), () => undefined),
    clock: { now: () => Date.now() },
    newTenantId: () => 'ef'.repeat(16),
    audit: { record: (_location, tenantId, { action }) => Promise.resolve(void told.push(`${action} ${tenantId}`)) },
    eraser: {
      step: (_location, tenantId, what) => {
        told.push(`${what} ${tenantId}`);
        const removed = what === 'destroyKeys' ? 0 : Math.min(1, left.count);
        left.count -= removed;
        return Promise.resolve({ removed, bytes: 0, remaining: what === 'destroyKeys' ? 0 : left.count, lockedUntil: undefined, replicaRemaining: undefined });
      },
    },
    observer: { reconciled: () => undefined, failed: () => undefined },
  });
  const watching = allInformers(caches).map((informer) => informer.run(stopping.signal));
  await Promise.all(allInformers(caches).map((informer) => informer.synced));
  const working = controller.run(stopping.signal);
  return {
    told,
    stop: async () => {
      stopping.abort();
      await Promise.all([working, ...watching]);
    },
  };
}

describe('the erasure of a BackupTenant', () => {
  it('is carried out step by step, each recorded first, and says how far it is', async () => {
    const connection = api.connect();
    const kms = { provider: 'local', local: { secretRef: { name: 'key' } } };
    await new ResourceClient<BackupLocation>(connection, resourceTypes.backupLocations).create({
      apiVersion: 'backup.dupp.de/v1alpha1',
      kind: 'BackupLocation',
      metadata: { name: 'erasing' },
      spec: { s3: { bucket: 'bucket', credentialsSecretRef: { name: 's3' } }, kms },
    });
    const tenantId = '12'.repeat(16);
    const made = await create({ tenantId, location: 'erasing', namespace: 'gone', namespaceUID: 'gone-uid' });
    const left = { count: 3 };
    const { told, stop } = await runController(left);
    try {
      await ask(made, { erasure: { requestedBy: 'erika' } });
      await eventually(async () => expect((await tenants.get(made.metadata.name))?.status?.conditions?.find(({ type }) => type === 'Erased')).toMatchObject({ status: 'False', reason: 'ErasureUnconfirmed' }));
      expect(told).toEqual([]);
      await ask(made, { erasure: { requestedBy: 'erika', confirm: tenantId } });
      await eventually(async () => expect((await tenants.get(made.metadata.name))?.status).toMatchObject({ phase: 'NamespaceGone', erasure: { phase: 'Erased', removed: 3, remaining: 0 } }));
    } finally {
      await stop();
    }
    expect(told).toEqual([
      'erasure.ordered', 'destroyKeys', 'erasure.keys-destroyed', 'removeAll', 'removeAll', 'removeAll', 'erasure.completed',
    ].map((step) => `${step} ${tenantId}`));
    expect((await tenants.get(made.metadata.name))?.status?.conditions?.find(({ type }) => type === 'Erased')).toMatchObject({ status: 'True', reason: 'Erased' });
  }, 60_000);

  it('is asked for, confirmed with the tenantId alone, and not taken back', async () => {
    const made = await create();
    const asked = await ask(made, { erasure: { reason: 'contract ended' } });
    await expect(ask(asked, { erasure: { confirm: 'yes' } })).rejects.toThrow('must be the tenantId');
    await ask(asked, { erasure: null });
    const ordered = await ask(asked, { erasure: { reason: 'contract ended', confirm: SPEC.tenantId } });
    for (const change of [{ erasure: null }, { erasure: { confirm: null } }, { erasure: { reason: 'another' } }]) await expect(ask(ordered, change)).rejects.toThrow('cannot be changed or taken back');
    await expect(create({ erasure: { confirm: 'cd'.repeat(16) } })).rejects.toThrow('must be the tenantId');
  });
});

async function eventually(look: () => Promise<unknown>): Promise<void> {
  for (let waited = 0; ; waited += 200) {
    try {
      await look();
      return;
    } catch (error) {
      if (waited > 20_000) throw error;
      await sleep(200);
    }
  }
}

// What a real API server takes and refuses of a BackupTenant, and what the controller makes of it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BackupTenant } from '../../src/api/index.ts';
import { decideTenant } from '../../src/decide/tenant.ts';
import { ResourceClient, resourceTypes } from '../../src/kube/index.ts';
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

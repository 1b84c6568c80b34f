import { describe, expect, it } from '@jest/globals';
import type { BackupTenant, BackupTenantStatus } from '../../src/api/index.ts';
import { decideTenant, newTenant, tenantName, type TenantFacts } from '../../src/decide/tenant.ts';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const HOME = { name: 'shop', uid: 'abcdef01-2345-6789-abcd-ef0123456789' };

const STORED = { status: { phase: 'Stored' as const } };
const POLICY = { spec: {} } as unknown as TenantFacts['policies'][number];
const rotating = (maxAge: string) => ({ spec: { keyRotation: { maxAge } } }) as unknown as TenantFacts['policies'][number];
const FACTS: TenantFacts = { namespaceUid: HOME.uid, policies: [POLICY], backups: [] };

function tenant(status?: BackupTenantStatus): BackupTenant {
  return { ...newTenant(HOME, 'here', '0'.repeat(32)), metadata: { name: tenantName(HOME), generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' }, ...(status ? { status } : {}) } as BackupTenant;
}

describe('tenantName', () => {
  it('has the first eight digits of the UID, so that a second namespace of the name is another tenant', () => {
    expect(tenantName(HOME)).toBe('shop-abcdef01');
    expect(tenantName({ ...HOME, uid: '12345678-2345-6789-abcd-ef0123456789' })).toBe('shop-12345678');
  });

  it('skips the dashes of the UID', () => {
    expect(tenantName({ name: 'n', uid: 'abc-def-0123' })).toBe('n-abcdef01');
  });
});

describe('decideTenant', () => {
  it.each<[string, string | undefined, BackupTenantStatus['phase'], string, string, number]>([
    ['its namespace is there', HOME.uid, 'Active', 'True', 'Exists', 3],
    ['its namespace is gone', undefined, 'NamespaceGone', 'False', 'Deleted', 0],
    ['another namespace has the name now, whose policies and backups are not its own', 'ffffffff', 'NamespaceGone', 'False', 'Replaced', 0],
  ])('when %s', (_, namespaceUid, phase, status, reason, counted) => {
    const decided = decideTenant(tenant(), { namespaceUid, policies: [POLICY, POLICY, POLICY], backups: [STORED, STORED, { status: {} }, STORED] }, NOW).status;
    expect(decided).toMatchObject({ phase, policies: counted, backups: counted });
    expect(decided.conditions).toEqual([expect.objectContaining({ type: 'NamespaceExists', status, reason })]);
  });

  it('keeps the generation of the key, which begins with 1', () => {
    expect(decideTenant(tenant(), FACTS, NOW)).toMatchObject({ status: { keyGeneration: 1, keyGenerationSince: '2026-01-01T00:00:00Z' }, rotation: undefined, wakeAt: undefined });
    expect(decideTenant(tenant({ keyGeneration: 4 }), FACTS, NOW).status.keyGeneration).toBe(4);
  });

  it('is the same later when nothing changed', () => {
    const first = decideTenant(tenant(), FACTS, NOW).status;
    expect(decideTenant(tenant(first), FACTS, NOW + 60_000)).toEqual({ status: first, rotation: undefined, wakeAt: undefined });
  });
});

describe('rotation of the key', () => {
  const asking = (keyGeneration: number, status?: BackupTenantStatus): BackupTenant => ({ ...tenant(status), spec: { ...tenant().spec, keyGeneration } });

  it('comes on request, once', () => {
    const { status, rotation } = decideTenant(asking(2, { keyGeneration: 1 }), FACTS, NOW);
    expect(status).toMatchObject({ keyGeneration: 2, keyGenerationSince: '2026-03-01T10:00:00Z' });
    expect(rotation).toEqual({ generation: 2, because: 'spec.keyGeneration asks for it' });
    expect(decideTenant(asking(2, status), FACTS, NOW + 1000)).toMatchObject({ status, rotation: undefined });
  });

  it('goes one generation at a time', () => {
    expect(decideTenant(asking(9, { keyGeneration: 3 }), FACTS, NOW).status.keyGeneration).toBe(4);
  });

  it('comes by age, with the shortest that a policy says, and looks again when it is due', () => {
    const policies = [rotating('90d'), rotating('60d'), POLICY];
    const since = Date.parse('2026-01-01T00:00:00Z');
    const due = since + 60 * 86_400_000;
    expect(decideTenant(tenant(), { ...FACTS, policies }, due - 1)).toMatchObject({ status: { keyGeneration: 1 }, rotation: undefined, wakeAt: due });
    const { status, rotation } = decideTenant(tenant(), { ...FACTS, policies }, due);
    expect(rotation).toEqual({ generation: 2, because: 'generation 1 is older than 60d (spec.keyRotation.maxAge of a policy)' });
    expect(decideTenant(tenant(status), { ...FACTS, policies }, due + 1)).toMatchObject({ rotation: undefined, wakeAt: due + 60 * 86_400_000 });
  });

  it('never goes back where the status was lost: backups and the spec tell', () => {
    const backups = [{ status: { phase: 'Stored' as const, keyGeneration: 3 } }, STORED];
    expect(decideTenant(tenant(), { ...FACTS, backups }, NOW)).toMatchObject({ status: { keyGeneration: 3 }, rotation: undefined });
    expect(decideTenant(asking(5), FACTS, NOW)).toMatchObject({ status: { keyGeneration: 5 }, rotation: undefined });
  });

  it('does not come by age once the namespace is gone', () => {
    expect(decideTenant(tenant(), { ...FACTS, namespaceUid: undefined, policies: [rotating('1d')] }, NOW).rotation).toBeUndefined();
  });
});

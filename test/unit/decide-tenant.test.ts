import { describe, expect, it } from '@jest/globals';
import type { BackupTenant, BackupTenantStatus } from '../../src/api/index.ts';
import { newTenant, tenantName, tenantStatus } from '../../src/decide/tenant.ts';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const HOME = { name: 'shop', uid: 'abcdef01-2345-6789-abcd-ef0123456789' };

function tenant(status?: BackupTenantStatus): BackupTenant {
  return { ...newTenant(HOME, 'here', '0'.repeat(32)), metadata: { name: tenantName(HOME), generation: 1 }, ...(status ? { status } : {}) } as BackupTenant;
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

describe('tenantStatus', () => {
  it.each<[string, string | undefined, BackupTenantStatus['phase'], string, string, number]>([
    ['its namespace is there', HOME.uid, 'Active', 'True', 'Exists', 3],
    ['its namespace is gone', undefined, 'NamespaceGone', 'False', 'Deleted', 0],
    ['another namespace has the name now, whose policies and backups are not its own', 'ffffffff', 'NamespaceGone', 'False', 'Replaced', 0],
  ])('when %s', (_, namespaceUid, phase, status, reason, counted) => {
    const decided = tenantStatus(tenant(), { namespaceUid, policies: 3, backups: 3 }, NOW);
    expect(decided).toMatchObject({ phase, policies: counted, backups: counted });
    expect(decided.conditions).toEqual([expect.objectContaining({ type: 'NamespaceExists', status, reason })]);
  });

  it('keeps the generation of the key, which begins with 1', () => {
    const facts = { namespaceUid: HOME.uid, policies: 1, backups: 0 };
    expect(tenantStatus(tenant(), facts, NOW).keyGeneration).toBe(1);
    expect(tenantStatus(tenant({ keyGeneration: 4 }), facts, NOW).keyGeneration).toBe(4);
  });

  it('is the same later when nothing changed', () => {
    const facts = { namespaceUid: HOME.uid, policies: 1, backups: 0 };
    const first = tenantStatus(tenant(), facts, NOW);
    expect(tenantStatus(tenant(first), facts, NOW + 60_000)).toEqual(first);
  });
});

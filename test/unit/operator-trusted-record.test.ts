// What a recovery believes of the records that a bucket has of a tenant, as whoever can put objects there would wish it did.
import { describe, expect, it } from '@jest/globals';
import type { TenantRecord } from '../../src/api/index.ts';
import { fingerprintOf, openRecord, sealRecord } from '../../src/audit/index.ts';
import { trustedRecord } from '../../src/cmd/operator/trusted-record.ts';
import { planRecovery } from '../../src/decide/recovery.ts';
import { freshSigner } from '../support/audit-trail.ts';

const [SHOP, CLINIC] = ['a'.repeat(32), 'c'.repeat(32)] as [string, string];
const signer = freshSigner();
const attacker = freshSigner();

function record(rev: number, changed: Partial<TenantRecord> = {}): TenantRecord {
  return { version: 2, rev, tenant: SHOP, namespace: 'shop', keyGeneration: 1, policies: [{ name: `of-rev-${rev}`, spec: {} }], backups: [], ...changed };
}

/** A revision's versions, the oldest first. */
function revision(rev: number, ...versions: Uint8Array[]) {
  return {
    rev,
    firstSound: <T>(judge: (bytes: Uint8Array) => T | undefined): Promise<T | undefined> => {
      for (const bytes of versions) {
        const value = judge(bytes);
        if (value !== undefined) return Promise.resolve(value);
      }
      return Promise.resolve(undefined);
    },
  };
}

const sealed = (of: TenantRecord): Uint8Array => sealRecord(of, signer);
const digestOf = (bytes: Uint8Array): string => openRecord(bytes)?.digest ?? '';
const trust = { keys: [signer.publicKey], accepted: [] as string[] };

describe('the record of a tenant that a recovery takes', () => {
  it('is the highest revision that a trusted key sealed', async () => {
    expect(await trustedRecord(SHOP, [revision(2, sealed(record(2))), revision(1, sealed(record(1)))], trust)).toEqual({ record: record(2), refused: [] });
  });

  it('is not an old one that somebody put there once more under a higher number', async () => {
    const old = sealed(record(1));
    const found = await trustedRecord(SHOP, [revision(9, old), revision(2, sealed(record(2))), revision(1, old)], trust);
    expect(found).toEqual({ record: record(2), refused: [{ rev: 9, digest: digestOf(old), sealedBy: fingerprintOf(signer.publicKey), belongsTo: { tenant: SHOP, rev: 1 } }] });
    expect(planRecovery({ tenantId: SHOP, ...found, snapshots: [] })).toMatchObject({ ok: true, plan: { problems: [expect.stringMatching(/revision 9 of the record of tenant a+ is revision 1 of it: somebody .* once more.*acceptedRecords.*Revision 2 was taken/)] } });
  });

  it('is not another tenant\'s, which keeps this one from nothing', async () => {
    const other = sealed(record(9, { tenant: CLINIC, namespace: 'clinic' }));
    const found = await trustedRecord(SHOP, [revision(9, other), revision(2, sealed(record(2)))], trust);
    expect(found).toMatchObject({ record: record(2), refused: [{ rev: 9, belongsTo: { tenant: CLINIC, rev: 9 } }] });
    expect(planRecovery({ tenantId: SHOP, ...found, snapshots: [] })).toMatchObject({ ok: true, plan: { namespace: 'shop', problems: [expect.stringContaining(`is revision 9 of tenant ${CLINIC}`)] } });
    // Nor does a person's word make it this one's.
    expect(await trustedRecord(SHOP, [revision(9, other)], { ...trust, accepted: [digestOf(other)] })).toMatchObject({ record: undefined });
  });

  it('is the sound version below whatever was put on top, and one that a person has looked at', async () => {
    const forged = sealRecord(record(3, { policies: [{ name: 'hook', spec: {} }] }), attacker);
    expect(await trustedRecord(SHOP, [revision(3, sealed(record(3)), forged)], trust)).toEqual({ record: record(3), refused: [] });
    const refused = await trustedRecord(SHOP, [revision(3, forged), revision(2, sealed(record(2)))], trust);
    expect(refused).toEqual({ record: record(2), refused: [{ rev: 3, digest: digestOf(forged), sealedBy: fingerprintOf(attacker.publicKey) }] });
    expect(await trustedRecord(SHOP, [revision(3, forged)], { ...trust, accepted: [digestOf(forged)] })).toMatchObject({ record: { rev: 3 }, refused: [] });
  });
});

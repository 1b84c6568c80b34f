import { fingerprintOf, openRecord, type OpenedRecord } from '../../audit/index.ts';
import type { FoundRecord, RecordTrust } from '../../decide/recovery.ts';
import type { Revision } from './bucket-reader.ts';

type Refused = FoundRecord['refused'][number];

/**
 * The highest revision of which a version is trusted and in its place, and what lies above it and is not. A seal says who wrote a record, and a record says for which
 * tenant and under which number: whoever can write into a bucket can put an old one, or another tenant's, there once more under a higher number.
 * @param revisions - the highest first
 */
export async function trustedRecord(tenantId: string, revisions: readonly Pick<Revision, 'rev' | 'firstSound'>[], trust: RecordTrust): Promise<FoundRecord> {
  const refused: Refused[] = [];
  for (const { rev, firstSound } of revisions) {
    let first: Refused | undefined;
    const record = await firstSound((bytes) => {
      const opened = openRecord(bytes);
      if (opened === undefined) return undefined;
      const why = refusalOf(opened, { tenantId, rev }, trust);
      if (why === undefined) return opened.record;
      first ??= why;
      return undefined;
    });
    if (record !== undefined) return { record, refused };
    if (first !== undefined) refused.push(first);
  }
  return { record: undefined, refused };
}

interface Place {
  readonly tenantId: string;
  readonly rev: number;
}

/** Whether it is what its name says, not an old one or another tenant's that somebody put there once more. */
export function isInPlace({ record }: OpenedRecord, { tenantId, rev }: Place): boolean {
  return record.tenant === tenantId && record.rev === rev;
}

function refusalOf(opened: OpenedRecord, place: Place, { keys, accepted }: RecordTrust): Refused | undefined {
  const { record, sealedBy, digest } = opened;
  const { rev } = place;
  const belongsTo = { tenant: record.tenant, rev: record.rev };
  // A person lets a record pass, not another tenant's.
  if (accepted.includes(digest) && record.tenant === place.tenantId) return undefined;
  if (sealedBy === undefined || !keys.includes(sealedBy)) return { rev, digest, sealedBy: sealedBy === undefined ? undefined : fingerprintOf(sealedBy) };
  return isInPlace(opened, place) ? undefined : { rev, digest, sealedBy: fingerprintOf(sealedBy), belongsTo };
}

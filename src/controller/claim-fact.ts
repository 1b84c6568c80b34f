import type { ClaimFact } from '../decide/index.ts';
import type { RawClaim } from './raw-objects.ts';

/** What decisions look at of a PersistentVolumeClaim. */
export function claimFact({ metadata, spec, status }: RawClaim): ClaimFact {
  return {
    name: metadata.name,
    uid: metadata.uid,
    phase: status?.phase ?? '',
    volumeMode: spec?.volumeMode === 'Block' ? 'Block' : 'Filesystem',
    accessModes: spec?.accessModes ?? [],
    deleting: metadata.deletionTimestamp !== undefined,
  };
}

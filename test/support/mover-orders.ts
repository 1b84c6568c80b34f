// Orders as the operator writes them, for tests that change one thing.
import type { BackupOrders, ForgetOrders, RestoreOrders, VerifyOrders } from '../../src/api/index.ts';

export const TENANT = 'a'.repeat(32);

const common = {
  version: 1 as const,
  attempt: { name: 'tbmover-test-1', number: 1, uid: 'uid-1' },
  tenant: { id: TENANT, generation: 1 },
  storage: { endpoint: 'http://127.0.0.1:9000', region: 'us-east-1', bucket: 'bucket', prefix: '', forcePathStyle: true },
  kms: [{ name: 'a', provider: 'local' as const, keyId: 'test', use: 'wrapAndUnwrap' as const }],
  deadAttempts: [],
};

export function backupOrders(changes: Partial<BackupOrders> = {}): BackupOrders {
  return {
    ...common,
    task: 'backup',
    volumes: [{ claim: 'data', mountPath: '/volumes/data' }],
    excludes: [],
    policy: 'daily',
    backup: 'first',
    incompleteSnapshots: [],
    ...changes,
  };
}

export function restoreOrders(changes: Partial<RestoreOrders> & Pick<RestoreOrders, 'snapshotId'>): RestoreOrders {
  return { ...common, task: 'restore', volumes: [{ claim: 'data', mountPath: '/volumes/data' }], includes: [], excludes: [], deleteExtra: false, ...changes };
}

export function forgetOrders(changes: Partial<ForgetOrders> = {}): ForgetOrders {
  return { ...common, task: 'forget', snapshots: [], uids: [], prune: true, ...changes };
}

export function verifyOrders(changes: Partial<VerifyOrders> & Pick<VerifyOrders, 'sample' | 'scratch'>): VerifyOrders {
  return { ...common, task: 'verify', readData: { part: 1, of: 1 }, damagedPacks: [], ...changes };
}

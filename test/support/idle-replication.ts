import { ReplicaStandings, type LockProver, type RecoverySource, type ReplicationAccess } from '../../src/controller/index.ts';

/** What controllers of locations and policies need where no second data center is. */
export function idleReplication(): { readonly prover: LockProver; readonly replication: ReplicationAccess; readonly recovery: RecoverySource; readonly standings: ReplicaStandings } {
  return {
    prover: { prove: () => Promise.resolve(undefined) },
    replication: { credentials: () => Promise.resolve({ files: {}, expiresAt: undefined, shared: [] }), results: () => Promise.resolve([]) },
    recovery: {
      tenants: () => Promise.resolve({ tenants: [], oldestKey: undefined }),
      claims: () => Promise.resolve([]),
      tenant: (_location, tenantId) => Promise.resolve({ tenantId, record: undefined, refused: [], snapshots: [] }),
    },
    standings: new ReplicaStandings(),
  };
}

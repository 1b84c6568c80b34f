import { describe, expect, it } from '@jest/globals';
import type { Backup, BackupLocation, BackupPolicy } from '../../src/api/index.ts';
import { policyReplication, type ReplicaStanding } from '../../src/decide/policy-replication.ts';

const NOW = Date.parse('2026-03-03T12:00:00Z');
const id = (letter: string): string => letter.repeat(64);

function stored(name: string, snapshot: string, completedAt: string): Backup {
  return { metadata: { name }, spec: {}, status: { phase: 'Stored', snapshotId: id(snapshot), completedAt } } as Backup;
}

function location(replica: object = { s3: {}, replication: { maxLag: '32h' } }): BackupLocation {
  return { metadata: { name: 'here' }, spec: { s3: {}, replica } } as BackupLocation;
}

function policy(status: BackupPolicy['status'] = {}): BackupPolicy {
  return { metadata: { name: 'daily' }, spec: {}, status } as BackupPolicy;
}

function standing(snapshots: readonly string[], changed: Partial<ReplicaStanding> = {}): ReplicaStanding {
  return { snapshots: new Set(snapshots.map(id)), replicatedUpTo: '2026-03-03T02:00:00Z', failure: undefined, findings: [], ...changed };
}

const old = stored('old', 'a', '2026-03-01T02:00:00Z');
const fresh = stored('fresh', 'b', '2026-03-03T02:00:00Z');

describe('what a policy says of the second data center', () => {
  it.each<[string, readonly Backup[], ReplicaStanding | undefined, string, string]>([
    ['there is nothing to copy', [], undefined, 'Unknown', 'NothingStored'],
    ['all is there', [old, fresh], standing(['a', 'b']), 'True', 'UpToDate'],
    ['the newest one waits for the night', [old, fresh], standing(['a']), 'True', 'ReplicationDue'],
    ['the first one waits for the night', [fresh], undefined, 'Unknown', 'ReplicationDue'],
    ['an old one is not there', [old, fresh], standing(['b']), 'False', 'ReplicaLags'],
    ['the first data center lost something', [old], standing(['a'], { findings: ['Missing: a snapshot is gone'] }), 'False', 'ReplicaDiverged'],
  ])('when %s', (_, backups, is, status, reason) => {
    expect(policyReplication(policy(), location(), backups, is, NOW).condition).toMatchObject({ status, reason });
  });

  it('names what is missing, and why', () => {
    const { condition } = policyReplication(policy(), location(), [old, fresh], standing([], { failure: 'Timeout: no answer' }), NOW);
    expect(condition?.message).toBe('Not in the second data center, though stored longer ago than 32h: old, fresh. Timeout: no answer Look at BackupLocation here.');
  });

  it('looks again when what it waits for is late', () => {
    expect(policyReplication(policy(), location(), [fresh], standing([]), NOW).wakeAt).toBe(Date.parse('2026-03-04T10:00:00Z'));
  });

  it('keeps what it said while nothing is known, as after a restart', () => {
    const before = { replicatedUpTo: '2026-03-02T02:00:00Z', conditions: [{ type: 'Replicated', status: 'True' as const, reason: 'UpToDate', message: 'All.', lastTransitionTime: '2026-03-01T00:00:00Z' }] };
    expect(policyReplication(policy(before), location(), [old, fresh], undefined, NOW)).toEqual({
      replicatedUpTo: '2026-03-02T02:00:00Z',
      condition: { type: 'Replicated', status: 'True', reason: 'UpToDate', message: 'All.' },
    });
  });

  it('says nothing where there is no second data center, and that the other side copies where it does', () => {
    expect(policyReplication(policy({ replicatedUpTo: '2026-03-02T02:00:00Z' }), location({}), [old], undefined, NOW)).toEqual({ replicatedUpTo: undefined, condition: undefined });
    expect(policyReplication(policy(), location({ mode: 'Pull' }), [old], undefined, NOW).condition).toMatchObject({ status: 'Unknown', reason: 'PulledElsewhere' });
  });
});

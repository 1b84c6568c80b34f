import { describe, expect, it } from '@jest/globals';
import { BackupPolicyStatus, type Backup, type BackupPhase, type BackupPolicy } from '../../src/api/index.ts';
import { VERIFICATION } from '../support/verification-facts.ts';
import { decideQuota, type Quota } from '../../src/decide/quota.ts';

function policy(max: number, quota?: Quota): BackupPolicy {
  return {
    apiVersion: 'backup.dupp.de/v1alpha1',
    kind: 'BackupPolicy',
    metadata: { name: 'daily', namespace: 'n', uid: 'p', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { location: 'l', copyMethod: 'Direct', groupSnapshot: 'Auto', quota: { maxBackups: max }, maxAge: '14d', shrinkWarningPercent: 50, confirmDeletionsFrom: 5, verification: VERIFICATION, history: { failedBackups: 5, restores: 10 }, mover: {} },
    ...(quota ? { status: { quota } } : {}),
  };
}

interface Made {
  readonly phase?: BackupPhase;
  readonly trigger?: 'Manual' | 'Safety';
  readonly of?: string;
  readonly deleting?: boolean;
  readonly cancel?: boolean;
  readonly second?: number;
}

function backup(name: string, made: Made = {}): Backup {
  return {
    apiVersion: 'backup.dupp.de/v1alpha1',
    kind: 'Backup',
    metadata: {
      name,
      namespace: 'n',
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: `2026-01-01T00:00:${String(made.second ?? 0).padStart(2, '0')}Z`,
      ...(made.deleting === true ? { deletionTimestamp: '2026-01-02T00:00:00Z' } : {}),
    },
    spec: { policy: made.of ?? 'daily', trigger: made.trigger ?? 'Manual', hold: false, cancel: made.cancel ?? false },
    ...(made.phase === undefined ? {} : { status: { phase: made.phase } }),
  };
}

function quota(max: number, held: readonly string[], refused: readonly string[] = []): Quota {
  const slot = (name: string) => ({ uid: `uid-${name}`, name });
  return { used: held.length, max, display: `${held.length}/${max}`, slots: held.map(slot), ...(refused.length > 0 ? { refused: refused.map(slot) } : {}) };
}

const names = (slots: Quota['slots'] | undefined): string[] => (slots ?? []).map(({ name }) => name);

describe('decideQuota', () => {
  it('grants free slots in the order of creation, by name within a second', () => {
    const decided = decideQuota(policy(2), [backup('c', { second: 1 }), backup('b'), backup('a')]);
    expect(names(decided.slots)).toEqual(['a', 'b']);
    expect(names(decided.refused)).toEqual(['c']);
    expect(decided.display).toBe('2/2');
  });

  it('of two for the last place refuses exactly one', () => {
    const kept = ['1', '2', '3', '4', '5', '6'];
    const decided = decideQuota(policy(7, quota(7, kept)), [...kept.map((name) => backup(name, { phase: 'Stored' })), backup('x', { second: 5 }), backup('y', { second: 5 })]);
    expect(names(decided.slots)).toEqual([...kept, 'x']);
    expect(names(decided.refused)).toEqual(['y']);
  });

  it('does not take a slot back when a rival is older: what was granted stays', () => {
    const decided = decideQuota(policy(1, quota(1, ['late'])), [backup('early', { second: 1 }), backup('late', { second: 9 })]);
    expect(names(decided.slots)).toEqual(['late']);
    expect(names(decided.refused)).toEqual(['early']);
  });

  it('keeps a refusal although a slot has become free, until the backup is rejected', () => {
    const decided = decideQuota(policy(1, quota(1, ['old'], ['new'])), [backup('new')]);
    expect(names(decided.slots)).toEqual([]);
    expect(names(decided.refused)).toEqual(['new']);
    expect(names(decideQuota(policy(1, decided), [backup('new', { phase: 'Rejected' })]).refused)).toEqual([]);
  });

  it.each(['Failed', 'Cancelled', 'Rejected'] as const)('frees the slot of a backup that is %s', (phase) => {
    expect(decideQuota(policy(1, quota(1, ['a'])), [backup('a', { phase })]).used).toBe(0);
  });

  it.each(['Queued', 'Transferring', 'Stored', 'Deleting'] as const)('keeps the slot of a backup that is %s, also after the list was lost', (phase) => {
    expect(names(decideQuota(policy(1), [backup('a', { phase })]).slots)).toEqual(['a']);
  });

  it('frees the slot of a backup that is gone', () => {
    expect(decideQuota(policy(7, quota(7, ['gone'])), []).used).toBe(0);
  });

  it('never drops a slot because the limit was lowered', () => {
    const decided = decideQuota(policy(1, quota(3, ['a', 'b', 'c'])), ['a', 'b', 'c'].map((name) => backup(name, { phase: 'Stored' })));
    expect(decided.display).toBe('3/1');
  });

  it('gives no slot to what is being deleted or cancelled, and does not refuse it either', () => {
    const decided = decideQuota(policy(1), [backup('a', { deleting: true }), backup('b', { cancel: true })]);
    expect(decided).toEqual(quota(1, []));
  });

  it('counts neither safety backups nor those of other policies', () => {
    expect(decideQuota(policy(7), [backup('a', { trigger: 'Safety' }), backup('b', { of: 'other' })]).used).toBe(0);
  });

  it('refuses any number that ask at once, no more at a time than a status can hold', () => {
    const asking = Array.from({ length: 1200 }, (_, index) => backup(`b${String(index).padStart(4, '0')}`));
    const first = decideQuota(policy(7), asking);
    expect(BackupPolicyStatus.safeParse({ quota: first }).success).toBe(true);
    expect(first).toMatchObject({ used: 7, refused: { length: 1000 } });
    const rest = asking.map((each, index) => (index >= 7 && index < 1007 ? { ...each, status: { phase: 'Rejected' as const } } : each));
    expect(decideQuota(policy(7, first), rest)).toMatchObject({ used: 7, refused: { length: 193 } });
  });
});

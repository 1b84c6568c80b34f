import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Backup, Restore } from '../../src/api/index.ts';
import { PortError } from '../../src/controller/ports.ts';
import type { AuditRecord } from '../../src/decide/index.ts';
import { MoverWorld, NS, TENANT_ID, ended, failed } from '../support/mover-world.ts';

const CONFIRMED = { metadata: { annotations: { 'backup.dupp.de/confirm-deletion': 'true' } } };

/** Each event with how many movers there had been when it was recorded. */
interface Seen extends AuditRecord {
  readonly tenant: string;
  readonly movers: number;
}

let world: MoverWorld;
let seen: Seen[];
let refusal: PortError | undefined;

beforeEach(() => {
  world = new MoverWorld();
  seen = [];
  refusal = undefined;
  world.audit = {
    record: (_location, tenant, record) => {
      if (refusal !== undefined) return Promise.reject(refusal);
      if (!seen.some(({ id }) => id === record.id)) seen.push({ ...record, tenant, movers: world.ran.length + world.cluster.all('jobs').length });
      return Promise.resolve();
    },
  };
});

const actions = () => seen.map(({ action, object, movers }) => `${action} ${object} ${movers}`);

function remove(name: string): void {
  world.cluster.change('backups', NS, name, CONFIRMED);
  world.cluster.remove('backups', NS, name);
}

describe('the audit trail of a namespace', () => {
  it('tells of a backup and of its deletion, each before it begins', async () => {
    world.createBackup('first', { requestedBy: 'erika@example.com' });
    await world.settle();
    remove('first');
    await world.settle();

    expect(world.backup('first')).toBeUndefined();
    expect(actions()).toEqual(['backup.started Backup/shop/first 0', 'backup.stored Backup/shop/first 2', 'forget.started Backup/shop/first 1', 'backup.deleted Backup/shop/first 3']);
    expect(seen.every(({ tenant }) => tenant === TENANT_ID)).toBe(true);
    expect(seen[0]).toMatchObject({ requestedBy: 'erika@example.com', details: { generation: 1, volumes: 'data', policy: 'daily' } });
    expect(seen[1]).toMatchObject({ details: { snapshot: 'ab'.repeat(32), complete: true } });
    expect(seen[2]).toMatchObject({ details: { snapshots: 'ab'.repeat(32) } });
  });

  it('tells of a restore before its mover writes, and how it ended', async () => {
    world.createBackup('first');
    await world.settle();
    world.createRestore('back', 'first', { requestedBy: 'support-7' });
    await world.settle();

    expect((world.restore('back') as Restore).status?.phase).toBe('Succeeded');
    expect(seen.filter(({ object }) => object.startsWith('Restore/')).map(({ action, requestedBy }) => ({ action, requestedBy }))).toEqual([
      { action: 'restore.started', requestedBy: 'support-7' },
      { action: 'restore.succeeded', requestedBy: 'support-7' },
    ]);
  });

  it('keeps everything from beginning while it cannot be written, and says so', async () => {
    refusal = new PortError('AuditTampered', 'the audit trail could not be written: event 3 is missing', { retryable: true });
    world.createBackup('first');
    for (let turn = 0; turn < 3; turn += 1) await world.turn();
    expect(world.ran).toEqual([]);
    expect(world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Stored')).toMatchObject({ status: 'False', reason: 'AuditTampered', message: expect.stringContaining('event 3 is missing') });

    refusal = undefined;
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Stored');
  });

  it('keeps a snapshot from being forgotten while it cannot be written', async () => {
    world.createBackup('first');
    await world.settle();
    refusal = new PortError('Unavailable', 'the audit trail could not be written', { retryable: true });
    remove('first');
    await world.settle(8);
    expect(world.ran.map(({ task }) => task)).toEqual(['backup']);
    expect(world.backup('first')).toBeDefined();

    refusal = undefined;
    await world.settle();
    expect(world.ran.map(({ task }) => task)).toEqual(['backup', 'forget']);
    expect(world.backup('first')).toBeUndefined();
  });

  it('does not keep a failure from being told', async () => {
    world.script = (orders) => {
      refusal = new PortError('Unavailable', 'no bucket', { retryable: true });
      return failed(orders, 'AccessDenied', 'the bucket refuses', false);
    };
    world.createBackup('first');
    await world.settle(8);
    expect((world.backup('first') as Backup).status?.phase).toBe('Failed');
  });

  it('has each event once when the operator is killed after any of its writes', async () => {
    world.createBackup('first');
    await world.settle();
    const calm = seen.map(({ id }) => id);
    for (let k = 1; k <= world.cluster.writes; k += 1) {
      const disturbed = new MoverWorld();
      disturbed.cluster.killAfter = k;
      disturbed.script = (orders) => ended(orders);
      disturbed.createBackup('first');
      await disturbed.settle();
      expect({ k, ids: disturbed.recorded.map(({ id }) => id) }).toEqual({ k, ids: calm });
    }
  });
});

// A Backup on the real cluster: stored, refused, cancelled, held, deleted, and what must never be seen of its key.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MoverCredentials } from '../../src/api/index.ts';
import { CLUSTER } from '../ground/layout.ts';
import { run } from '../ground/run.ts';
import { keysBelow, openBucket, secretKeyOf, tenantIdOf } from '../support/bucket.ts';
import {
  apply,
  conditionOf,
  create,
  getObject,
  kubectl,
  listObjects,
  waitFor,
  waitForCondition,
  waitForPhase,
  type StatusLike,
} from '../support/cluster.ts';
import { backupObject, locationObjects, makeCustomer, removeCustomer } from '../support/customer.ts';

const LOCATION = 'e2e-backup';
const ALL = ['e2e-backup', 'e2e-quota', 'e2e-large', 'e2e-gone'] as const;
const MIB = 1 << 20;

interface PodLike {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly automountServiceAccountToken?: boolean;
    readonly volumes?: readonly Readonly<Record<string, unknown>>[];
    readonly containers: readonly { readonly env?: unknown; readonly args?: readonly string[] }[];
  };
}

function directoryOf(namespace: string): string {
  return join(CLUSTER, 'e2e', namespace);
}

async function customer(namespace: string, bytes: number): Promise<void> {
  const directory = directoryOf(namespace);
  mkdirSync(directory, { recursive: true });
  for (let i = 0; i < Math.max(1, bytes / (8 * MIB)); i++) writeFileSync(join(directory, `file-${i}`), randomBytes(Math.min(bytes, 8 * MIB)));
  await makeCustomer({ namespace, location: LOCATION, volumes: { data: directory } });
  await waitForCondition('bp', 'daily', namespace, { type: 'Ready', status: 'True' });
}

/** Nothing of ours but the resources themselves. */
async function leftovers(namespace: string): Promise<string> {
  return kubectl(['get', 'jobs,pods,secrets', '-n', namespace, '-o', 'name']);
}

beforeAll(async () => {
  await apply(locationObjects(LOCATION, { movers: 4 }));
  await waitForCondition('bl', LOCATION, undefined, { type: 'Ready', status: 'True' });
});

afterAll(async () => {
  await Promise.all(ALL.map((namespace) => removeCustomer(namespace, ['data'])));
  for (const namespace of ALL) rmSync(directoryOf(namespace), { recursive: true, force: true });
  await kubectl(['delete', 'bl', LOCATION, '--ignore-not-found']);
});

describe('a Backup of 1 MiB', () => {
  beforeAll(async () => {
    await customer('e2e-backup', MIB);
    await apply([backupObject('e2e-backup', 'first', 'daily')]);
    await waitForPhase('bk', 'first', 'e2e-backup', ['Stored', 'Failed']);
  });

  it('is stored within six seconds of kubectl apply, and leaves no Job, pod or Secret', async () => {
    const startedAt = performance.now();
    await apply([backupObject('e2e-backup', 'second', 'daily')]);
    const backup = await waitForPhase('bk', 'second', 'e2e-backup', ['Stored', 'Failed']);
    const seconds = (performance.now() - startedAt) / 1000;
    process.stdout.write(`apply to Stored: ${seconds.toFixed(1)} s\n`);
    expect(conditionOf(backup, 'Stored')).toMatchObject({ status: 'True', reason: 'Stored' });
    expect(conditionOf(backup, 'Complete')?.status).toBe('True');
    expect(seconds).toBeLessThan(6);
    await waitFor('its Job to be gone', 15, async () => (await leftovers('e2e-backup')) === '');
  });

  it('tells its story in events', async () => {
    const events = await kubectl([
      'get',
      'events',
      '-n',
      'e2e-backup',
      '-o',
      'jsonpath={range .items[?(@.involvedObject.kind=="Backup")]}{.involvedObject.name}={.reason}{"\\n"}{end}',
    ]);
    expect(events.split('\n')).toEqual(expect.arrayContaining(['first=Stored', 'second=Stored']));
  });

  it('is kept while it is held, and its snapshot is forgotten once it is not', async () => {
    const held = await getObject<StatusLike>('bk', 'second', 'e2e-backup');
    const snapshot = String(held?.status?.['snapshotId']);
    const prefix = `${LOCATION}/tenants/${await tenantIdOf('e2e-backup')}/g1`;
    expect(await keysBelow(prefix)).toContain(`snapshots/${snapshot}`);
    await kubectl(['patch', 'bk', 'second', '-n', 'e2e-backup', '--type=merge', '-p', '{"spec":{"hold":true}}']);
    await kubectl(['delete', 'bk', 'second', '-n', 'e2e-backup', '--wait=false']);
    await waitForCondition('bk', 'second', 'e2e-backup', { type: 'Deleted', status: 'False', reason: 'Held' });
    expect(await keysBelow(prefix)).toContain(`snapshots/${snapshot}`);
    await kubectl(['patch', 'bk', 'second', '-n', 'e2e-backup', '--type=merge', '-p', '{"spec":{"hold":false}}']);
    await waitFor('the Backup to be gone', 60, async () => (await getObject('bk', 'second', 'e2e-backup')) === undefined);
    const after = await keysBelow(prefix);
    expect(after.filter((key) => key.includes(snapshot))).toEqual([]);
    expect(after.filter((key) => key.startsWith('locks/'))).toEqual([]);
    await waitFor('the forget Job to be gone', 15, async () => (await leftovers('e2e-backup')) === '');
  });

  it('never shows its secret key: not in etcd, objects, logs or termination messages (invariant 1)', async () => {
    const key = await secretKeyOf(LOCATION, await tenantIdOf('e2e-backup'));
    const written = Buffer.from(key).toString('utf8');
    expect(written).toMatch(/^tbk1-/);
    const forms = [written, written.slice(5, 34), Buffer.from(written).toString('base64').slice(0, 40)];
    const everything = await kubectl([
      'get',
      'secrets,pods,jobs,events,backups.backup.dupp.de,backuptenants.backup.dupp.de,configmaps',
      '-A',
      '-o',
      'yaml',
    ]);
    for (const form of forms) expect(everything).not.toContain(form);
    const folders = ['etcd', 'logs', 'private'].map((folder) => join(CLUSTER, folder));
    // What is there is found: the name of the namespace lies in etcd and in logs.
    expect(await filesWith('e2e-backup', folders)).toMatch(/etcd.*logs/s);
    for (const form of forms) expect(await filesWith(form, folders)).toBe('');
    key.fill(0);
  });
});

/** Names of files below the folders that hold the text; the text goes to grep through a pipe. */
async function filesWith(text: string, folders: readonly string[]): Promise<string> {
  const script =
    'grep --recursive --files-with-matches --binary-files=text --fixed-strings --no-messages --devices=skip --file=- -- "$@" || test $? -le 2';
  return (await run('sh', ['-c', script, 'grep', ...folders], { input: Buffer.from(text) })).trim();
}

describe('seven places', () => {
  it('are given to seven of eight that come at once; the eighth is refused until one goes', async () => {
    await customer('e2e-quota', 4096);
    await create(Array.from({ length: 6 }, (_, i) => backupObject('e2e-quota', `b${i + 1}`, 'daily')));
    // Two for the last place, at the same moment.
    await Promise.all(['b7', 'b8'].map((name) => create([backupObject('e2e-quota', name, 'daily')])));
    const ends = await Promise.all(
      Array.from({ length: 8 }, (_, i) => waitForPhase('bk', `b${i + 1}`, 'e2e-quota', ['Stored', 'Rejected', 'Failed'], 120)),
    );
    expect(ends.map(({ status }) => status?.phase).sort()).toEqual(['Rejected', ...Array.from({ length: 7 }, () => 'Stored')]);
    const refused = ends.find(({ status }) => status?.phase === 'Rejected');
    expect(conditionOf(refused, 'Stored')).toMatchObject({
      reason: 'QuotaFull',
      message: expect.stringMatching(/^7 of 7 backups are kept; delete one first/),
    });
    await kubectl(['delete', 'bk', 'b1', '-n', 'e2e-quota', '--timeout=60s']);
    await create([backupObject('e2e-quota', 'b9', 'daily')]);
    await waitForPhase('bk', 'b9', 'e2e-quota', ['Stored'], 60);
  });
});

describe('a mover that runs', () => {
  let pod: PodLike | undefined;

  beforeAll(async () => {
    // A quiet machine stores some hundred MiB a second, and what follows takes a few of those.
    await customer('e2e-large', 1600 * MIB);
    await apply([backupObject('e2e-large', 'large', 'daily')]);
    pod = await waitFor(
      'its pod',
      30,
      async () => (await listObjects<PodLike>('pods', 'e2e-large', 'app.kubernetes.io/managed-by=tenant-backup'))[0],
    );
  });

  it('has no Kubernetes credentials (invariant 3), and nothing secret in arguments or environment', () => {
    expect(pod?.spec.automountServiceAccountToken).toBe(false);
    expect(JSON.stringify(pod?.spec.volumes)).not.toContain('serviceAccountToken');
    expect(pod?.spec.containers.map(({ env, args }) => ({ env, args }))).toEqual([{ env: undefined, args: ['mover'] }]);
  });

  it('has an S3 session that reaches its own tenant and no other (invariant 4)', async () => {
    const [job] = await listObjects<{ metadata: { name: string } }>('jobs', 'e2e-large');
    const encoded = await kubectl(['get', 'secret', job?.metadata.name ?? '', '-n', 'e2e-large', '-o', 'jsonpath={.data.credentials\\.json}']);
    const { s3 } = MoverCredentials.parse(JSON.parse(Buffer.from(encoded, 'base64').toString('utf8')));
    expect(s3.sessionToken).toBeDefined();
    const session = { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey, sessionToken: s3.sessionToken ?? '' };
    const mine = await openBucket(`${LOCATION}/tenants/${await tenantIdOf('e2e-large')}`, session);
    const other = `${LOCATION}/tenants/${await tenantIdOf('e2e-backup')}`;
    const theirs = await openBucket(other, session);
    await expect(mine.head('g1/config')).resolves.not.toThrow();
    await expect(theirs.get('g1/config')).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(theirs.put('g1/intruder', Buffer.from('x'))).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(keysBelow(other, session)).rejects.toMatchObject({ code: 'AccessDenied' });
    await Promise.all([mine.close(), theirs.close()]);
  });

  it('shows how far it is, and is stopped by spec.cancel with nothing kept', async () => {
    await waitFor('progress', 30, async () => (await getObject<StatusLike>('bk', 'large', 'e2e-large'))?.status?.['progress'] as object | undefined);
    const key = await secretKeyOf(LOCATION, await tenantIdOf('e2e-large'));
    const said = await kubectl(['logs', pod?.metadata.name ?? '', '-n', 'e2e-large']);
    expect(said).toContain('"progress"');
    expect(said).not.toContain(Buffer.from(key).toString('utf8').slice(5, 34));
    key.fill(0);
    await kubectl(['patch', 'bk', 'large', '-n', 'e2e-large', '--type=merge', '-p', '{"spec":{"cancel":true}}']);
    const backup = await waitForPhase('bk', 'large', 'e2e-large', ['Cancelled', 'Stored', 'Failed'], 90);
    expect(backup.status?.phase).toBe('Cancelled');
    const keys = await keysBelow(`${LOCATION}/tenants/${await tenantIdOf('e2e-large')}/g1`);
    expect(keys.filter((key) => key.startsWith('snapshots/') || key.startsWith('locks/') || key.startsWith('manifests/'))).toEqual([]);
    await waitFor('its Jobs to be gone', 15, async () => (await leftovers('e2e-large')) === '');
  });
});

describe('a namespace that is deleted', () => {
  it('goes at once, with backups in it, and its data stays', async () => {
    await customer('e2e-gone', 4096);
    await apply([backupObject('e2e-gone', 'kept', 'daily')]);
    await waitForPhase('bk', 'kept', 'e2e-gone', ['Stored']);
    const prefix = `${LOCATION}/tenants/${await tenantIdOf('e2e-gone')}/g1`;
    const before = await keysBelow(prefix);
    await kubectl(['delete', 'namespace', 'e2e-gone', '--timeout=30s']);
    expect(await keysBelow(prefix)).toEqual(before);
  });
});

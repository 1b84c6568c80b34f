// A real PostgreSQL under write load, on the real cluster: quiesced by hooks its volume comes back whole, and its dump does as a stream.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { importImage } from '../ground/images.ts';
import { CLUSTER } from '../ground/layout.ts';
import { POSTGRES_IMAGE, postgresArchive } from '../ground/postgres-image.ts';
import { ls, openRepository, restore as restoreSnapshot, type Repository } from '../../src/restic/index.ts';
import { openBucket, secretKeyOf, tenantIdOf } from '../support/bucket.ts';
import { SYSTEM_NAMESPACE, apply, conditionOf, environment, getObject, kubectl, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { backupObject, locationObjects, namespaceObject, policyObject, removeCustomer, restoreObject, volumeObjects } from '../support/customer.ts';

const NAMESPACE = 'e2e-database';
const directory = join(CLUSTER, 'e2e', NAMESPACE);
const ENDS = ['Stored', 'Failed'];

/** `initdb` once, then the server as process 1's child, with a socket that anybody in the pod may use. */
const SERVE = `
set -eu
chown -R postgres: /data; mkdir -p /run/postgresql; chown postgres: /run/postgresql
[ -f /data/pg/PG_VERSION ] || su postgres -c 'initdb -D /data/pg -U postgres --auth=trust >/dev/null'
rm -f /data/pg/postmaster.pid
exec su postgres -c 'postgres -D /data/pg -c listen_addresses= -c unix_socket_directories=/run/postgresql -c checkpoint_timeout=30s -c max_wal_size=64MB'
`;

/** Money moves between accounts, in rows that are numbered without a gap: half a transaction shows. */
const SCHEMA = `
create table accounts(id int primary key, balance bigint not null);
insert into accounts select n, 1000 from generate_series(1, 200) n;
create table moves(n bigint primary key, from_id int not null, to_id int not null, amount int not null, filler text not null);
`;
const LOAD = `
n=$(psql -U postgres -h /run/postgresql -Atc 'select coalesce(max(n), 0) from moves')
while :; do
  for i in 1 2 3 4 5 6 7 8 9 10; do
    n=$((n + 1)); a=$((n * 7 % 200 + 1)); b=$((n * 13 % 200 + 1))
    echo "begin; update accounts set balance = balance - 5 where id = $a; update accounts set balance = balance + 5 where id = $b; insert into moves values ($n, $a, $b, 5, repeat(md5('$n'), 30)); commit;"
  done
done | psql -U postgres -h /run/postgresql -qv ON_ERROR_STOP=1 >/dev/null
`;
const FREEZE = ['sh', '-c', 'psql -U postgres -h /run/postgresql -qc CHECKPOINT; pkill -STOP -x postgres'];
const THAW = ['sh', '-c', 'pkill -CONT -x postgres'];

function database(name: string, claimName: string): object {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      serviceName: name,
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: 'postgres',
              image: POSTGRES_IMAGE,
              imagePullPolicy: 'Never',
              command: ['sh', '-c', SERVE],
              readinessProbe: { exec: { command: ['pg_isready', '-h', '/run/postgresql', '-U', 'postgres'] }, periodSeconds: 1, failureThreshold: 600, timeoutSeconds: 5 },
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
          volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
        },
      },
    },
  };
}

async function inDatabase(command: readonly string[], input?: string, pod = 'db-0'): Promise<string> {
  return kubectl(['exec', ...(input === undefined ? [] : ['-i']), '-n', NAMESPACE, pod, '--', ...command], input);
}

async function sql(query: string, name = 'postgres', pod?: string): Promise<string> {
  return inDatabase(['psql', '-U', 'postgres', '-h', '/run/postgresql', '-Atqv', 'ON_ERROR_STOP=1', '-d', name, '-c', query], undefined, pod);
}

async function startDatabase(name: string, claim: string): Promise<void> {
  await apply([database(name, claim)]);
  await kubectl(['rollout', 'status', `statefulset/${name}`, '-n', NAMESPACE, '--timeout=180s']);
  await inDatabase(['psql', '-U', 'postgres', '-h', '/run/postgresql', '-qv', 'ON_ERROR_STOP=1'], SCHEMA, `${name}-0`);
}

/** Everything that must hold of a database that was cut at one moment. Resolves to how many moves it has. */
async function expectConsistent(name = 'postgres', pod?: string): Promise<number> {
  const [sum, count, highest, wrong] = (
    await sql(
      `select (select sum(balance) from accounts), (select count(*) from moves), (select max(n) from moves),
       (select count(*) from accounts a where balance <> 1000 - 5 * (select count(*) from moves where from_id = a.id) + 5 * (select count(*) from moves where to_id = a.id))`,
      name,
      pod,
    )
  ).split('|');
  expect({ sum, wrong, gaps: Number(highest) - Number(count) }).toEqual({ sum: '200000', wrong: '0', gaps: 0 });
  return Number(count);
}

/** Writes until it is stopped, beside the test. */
function startLoad(pod = 'db-0'): { stop: () => Promise<void> } {
  const env = environment();
  const child = spawn(env['KUBECTL'] ?? 'kubectl', ['exec', '-n', NAMESPACE, pod, '--', 'sh', '-c', LOAD], { env: { ...process.env, KUBECONFIG: env['KUBECONFIG'] }, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    stop: async () => {
      await inDatabase(['sh', '-c', 'pkill -x psql; true'], undefined, pod).catch(() => undefined);
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function moves(pod?: string): Promise<number> {
  return Number(await sql('select coalesce(max(n), 0) from moves', 'postgres', pod));
}

async function back(name: string): Promise<StatusLike> {
  await apply([backupObject(NAMESPACE, name, 'daily')]);
  const backup = await waitForPhase('bk', name, NAMESPACE, ENDS, 180);
  expect(conditionOf(backup, 'Stored')).toMatchObject({ status: 'True' });
  return backup;
}

/** The tenant's repository, opened with the key as a person with a released key would. */
async function withRepository<T>(work: (repository: Repository) => Promise<T>): Promise<T> {
  const tenant = await tenantIdOf(NAMESPACE);
  const store = await openBucket(`${NAMESPACE}/tenants/${tenant}/g1`);
  try {
    const repository = await openRepository({ store, password: await secretKeyOf(NAMESPACE, tenant), readOnly: true });
    return await work(repository).finally(() => repository.close());
  } finally {
    await store.close();
  }
}

/** When the youngest file of a snapshot was written, milliseconds since the epoch. */
async function newestWrite(snapshot: string): Promise<number> {
  return withRepository(async (repository) => {
    let newest = 0;
    for await (const { type, mtime } of ls(repository, snapshot)) if (type === 'file' && mtime !== undefined) newest = Math.max(newest, Date.parse(mtime));
    return newest;
  });
}

/** A stream of a backup, as a file. */
async function restoredStream(snapshot: string, name: string): Promise<string> {
  const target = `${directory}-streams`;
  try {
    await withRepository((repository) => restoreSnapshot(repository, { snapshot, target, includes: [`/streams/${name}`] }));
    return readFileSync(join(target, 'streams', name), 'utf8');
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}

/** When the mover of a backup's last attempt began, milliseconds since the epoch, as it says itself. */
async function moverStart({ metadata, status }: StatusLike): Promise<number> {
  const store = await openBucket(`${NAMESPACE}/tenants/${await tenantIdOf(NAMESPACE)}/g1`);
  try {
    const result = JSON.parse(new TextDecoder().decode(await store.get(`results/${metadata.uid}-${String(status?.['attempt'])}.json`))) as { readonly startedAt: string };
    return Date.parse(result.startedAt);
  } finally {
    await store.close();
  }
}

/** When a hook of a backup had ended, to the second. */
function endOf(backup: StatusLike, hook: string): number {
  const hooks = backup.status?.['hooks'] as { name: string; finishedAt: string }[] | undefined;
  return Date.parse(hooks?.find(({ name }) => name === hook)?.finishedAt ?? '');
}

async function setPolicy(spec: object): Promise<void> {
  await kubectl(['delete', 'bp', 'daily', '-n', NAMESPACE, '--ignore-not-found']);
  await apply([policyObject(NAMESPACE, 'daily', { location: NAMESPACE, copyMethod: 'Direct', workload: { kind: 'StatefulSet', name: 'db' }, ...spec })]);
  await waitForCondition('bp', 'daily', NAMESPACE, { type: 'Ready', status: 'True' });
}

beforeAll(async () => {
  await importImage(await postgresArchive());
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  await apply(locationObjects(NAMESPACE));
  await waitForCondition('bl', NAMESPACE, undefined, { type: 'Ready', status: 'True' });
  await apply([namespaceObject(NAMESPACE), ...volumeObjects({ namespace: NAMESPACE, claim: 'data', directory })]);
  await startDatabase('db', 'data');
}, 600_000);

afterAll(async () => {
  await removeCustomer(NAMESPACE, ['data'], 120);
  await kubectl(['delete', 'bl', NAMESPACE, '--ignore-not-found']);
  rmSync(directory, { recursive: true, force: true });
}, 300_000);

describe('a database under write load', () => {
  it('that hooks freeze comes back as of one moment, with all that it had confirmed before, and works on meanwhile', async () => {
    await setPolicy({ hooks: { pre: [{ name: 'freeze', command: FREEZE }], post: [{ name: 'thaw', command: THAW, onError: 'Continue' }] } });
    const load = startLoad();
    await waitFor('some load', 60, async () => (await moves()) > 500);
    const before = await moves();
    const backup = await back('frozen');
    expect(conditionOf(backup, 'Quiesced')).toMatchObject({ status: 'True', reason: 'HooksSucceeded' });
    expect(conditionOf(backup, 'Complete')).toMatchObject({ status: 'True' });
    // Clients wrote all the time: only a database that stands still has nothing younger.
    expect(await newestWrite(String(backup.status?.['snapshotId']))).toBeLessThan(endOf(backup, 'freeze') + 1000);
    const after = await moves();
    await waitFor('the load to go on', 60, async () => (await moves()) > after + 100);
    await load.stop();

    await apply([restoreObject(NAMESPACE, 'frozen', 'frozen')]);
    const restore = await waitForPhase('brs', 'frozen', NAMESPACE, ['Succeeded', 'Failed'], 240);
    expect(conditionOf(restore, 'Succeeded')).toMatchObject({ status: 'True' });
    await kubectl(['rollout', 'status', 'statefulset/db', '-n', NAMESPACE, '--timeout=120s']);
    const count = await expectConsistent();
    expect(count).toBeGreaterThanOrEqual(before);
    expect(count).toBeLessThanOrEqual(after);
  }, 600_000);

  it('is thawed though both operators are killed while it is frozen', async () => {
    await setPolicy({ hooks: { pre: [{ name: 'freeze', command: FREEZE }, { name: 'rest', command: ['sleep', '8'] }], post: [{ name: 'thaw', command: THAW }] } });
    const load = startLoad();
    await apply([backupObject(NAMESPACE, 'killed', 'daily')]);
    await waitFor('the second hook', 60, async () => {
      const hooks = (await getObject<StatusLike>('bk', 'killed', NAMESPACE))?.status?.['hooks'] as { name: string; state: string }[] | undefined;
      return hooks?.some(({ name, state }) => name === 'rest' && state === 'Running');
    });
    const pods = (await kubectl(['get', 'pods', '-n', SYSTEM_NAMESPACE, '-o', 'name'])).split('\n').filter((name) => name !== '');
    await kubectl(['delete', '-n', SYSTEM_NAMESPACE, '--grace-period=0', '--force', ...pods]);
    const backup = await waitForPhase('bk', 'killed', NAMESPACE, ENDS, 180);
    expect(conditionOf(backup, 'Stored')).toMatchObject({ status: 'True' });
    const now = await moves();
    await waitFor('the load to go on', 60, async () => (await moves()) > now + 50);
    await load.stop();
    await expectConsistent();
  }, 600_000);

  it('is thawed when the backup is cancelled, and when its pre hook fails, which says why', async () => {
    await setPolicy({ hooks: { pre: [{ name: 'freeze', command: FREEZE }, { name: 'fail', command: ['sh', '-c', 'echo "FATAL: role does not exist" >&2; exit 3'] }], post: [{ name: 'thaw', command: THAW }] } });
    await apply([backupObject(NAMESPACE, 'failing', 'daily')]);
    const said = await waitForCondition('bk', 'failing', NAMESPACE, { type: 'Stored', status: 'False', reason: 'PreHookFailed' }, 60);
    expect(said.message).toContain('it ended with status 3: FATAL: role does not exist');
    expect(await sql('select 1')).toBe('1');
    await kubectl(['patch', 'bk', 'failing', '-n', NAMESPACE, '--type=merge', '-p', '{"spec":{"cancel":true}}']);
    await waitForPhase('bk', 'failing', NAMESPACE, ['Cancelled'], 120);
    expect(await sql('select 1')).toBe('1');
  }, 300_000);

  it('dumped as a stream comes back as a file that a new database takes, of one moment, and leaves no right behind', async () => {
    await setPolicy({ excludes: ['/volumes/data/pg'], streams: [{ name: 'postgres.sql', command: ['pg_dump', '-U', 'postgres', '-h', '/run/postgresql', 'postgres'] }] });
    const load = startLoad();
    const start = await moves();
    await waitFor('some load', 60, async () => (await moves()) > start + 500);
    const before = await moves();
    const backup = await back('dumped');
    expect(backup.status).toMatchObject({ streams: ['postgres.sql'] });
    const after = await moves();
    await load.stop();
    const dump = await restoredStream(String(backup.status?.['snapshotId']), 'postgres.sql');
    await sql('create database again');
    await inDatabase(['psql', '-U', 'postgres', '-h', '/run/postgresql', '-qv', 'ON_ERROR_STOP=1', '-d', 'again'], dump);
    const count = await expectConsistent('again');
    expect(count).toBeGreaterThanOrEqual(before);
    expect(count).toBeLessThanOrEqual(after);
    await waitFor('its rights to be gone', 15, async () => !(await kubectl(['get', 'serviceaccounts,roles,rolebindings', '-n', NAMESPACE, '-o', 'name'])).includes('tbmover-'));
  }, 600_000);

  it('whose dump fails is not backed up, and the reason is in the condition', async () => {
    await setPolicy({ streams: [{ name: 'postgres.sql', command: ['pg_dump', '-U', 'postgres', '-h', '/run/postgresql', 'nowhere'] }] });
    await apply([backupObject(NAMESPACE, 'undumped', 'daily')]);
    const said = await waitForCondition('bk', 'undumped', NAMESPACE, { type: 'Stored', status: 'False', reason: 'StreamFailed' }, 120);
    expect(said.message).toMatch(/in pod db-0, container postgres, it ended with status 1: .*database "nowhere" does not exist/);
  }, 300_000);

  it('is frozen for the cut of a snapshot only, and works on while that is read', async () => {
    const env = environment();
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'fast', namespace: NAMESPACE } };
    await apply([{ ...claim, spec: { accessModes: ['ReadWriteOnce'], storageClassName: env['STORAGE_CLASS'], resources: { requests: { storage: '1Gi' } } } }]);
    await startDatabase('snapped', 'fast');
    await setPolicy({
      copyMethod: 'Snapshot',
      volumes: ['fast'],
      workload: { kind: 'StatefulSet', name: 'snapped' },
      hooks: { pre: [{ name: 'freeze', command: FREEZE }], post: [{ name: 'thaw', command: THAW }] },
    });
    const load = startLoad('snapped-0');
    await waitFor('some load', 60, async () => (await moves('snapped-0')) > 500);
    const before = await moves('snapped-0');
    const backup = await back('snapped');
    const after = await moves('snapped-0');
    expect(backup.status).toMatchObject({ copyMethod: 'Snapshot' });
    // Thawed before the mover began, and nothing of what was written since is in it.
    expect(await moverStart(backup)).toBeGreaterThanOrEqual(endOf(backup, 'thaw'));
    expect(await newestWrite(String(backup.status?.['snapshotId']))).toBeLessThan(endOf(backup, 'freeze') + 1000);
    await waitFor('the load to go on', 60, async () => (await moves('snapped-0')) > after + 50);
    await load.stop();

    await apply([restoreObject(NAMESPACE, 'snapped', 'snapped')]);
    const restore = await waitForPhase('brs', 'snapped', NAMESPACE, ['Succeeded', 'Failed'], 240);
    expect(conditionOf(restore, 'Succeeded')).toMatchObject({ status: 'True' });
    await kubectl(['rollout', 'status', 'statefulset/snapped', '-n', NAMESPACE, '--timeout=120s']);
    const count = await expectConsistent('postgres', 'snapped-0');
    expect(count).toBeGreaterThanOrEqual(before);
    expect(count).toBeLessThanOrEqual(after);
  }, 600_000);
});

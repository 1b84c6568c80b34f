import { describe, expect, it } from '@jest/globals';
import { BridgeOrders } from '../../src/api/index.ts';
import { MoverWorld, NS, ended, failed } from '../support/mover-world.ts';

const DUMP = { name: 'db.sql', command: ['pg_dump'], timeout: '6h', onError: 'Fail' };

function streaming(streams: readonly object[] = [DUMP]): MoverWorld {
  const world = new MoverWorld();
  world.cluster.change('backuppolicies', NS, 'daily', { spec: { streams } });
  return world;
}

type Json = Record<string, unknown>;
interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly initContainers?: readonly { readonly name: string; readonly volumeMounts: readonly { readonly name: string }[]; readonly securityContext: Json }[];
  readonly containers: readonly { readonly name: string; readonly volumeMounts: readonly { readonly name: string }[] }[];
  readonly volumes: readonly { readonly name: string; readonly projected?: unknown; readonly secret?: { readonly items?: readonly { readonly key: string }[] } }[];
}

/** What there is of one kind while the mover runs, and in the end. */
function rights(world: MoverWorld): number {
  return ['serviceaccounts', 'roles', 'rolebindings'].flatMap((kind) => world.cluster.all(kind)).length;
}

function condition(world: MoverWorld, type: string) {
  return world.backup('first')?.status?.conditions?.find((each) => each.type === type);
}

describe('a backup with a stream', () => {
  it('lets a bridge run that command in that pod; the mover has no token, the bridge no key', async () => {
    const world = streaming();
    world.script = () => 'running';
    world.createBackup('first');
    for (let i = 0; i < 3; i++) await world.turn();
    const job = world.cluster.all('jobs')[0];
    const name = job?.metadata.name ?? '';
    const pod = (job?.spec?.['template'] as { spec: PodSpec }).spec;
    expect(pod.serviceAccountName).toBe(name);
    expect(pod.automountServiceAccountToken).toBe(false);
    const mounts = (container: { readonly volumeMounts: readonly { readonly name: string }[] } | undefined) => container?.volumeMounts.map((mount) => mount.name);
    expect(mounts(pod.containers[0])).toEqual(['orders', 'tmp', 'streams', 'volume-0']);
    expect(mounts(pod.initContainers?.[0])).toEqual(['bridge', 'token', 'streams']);
    expect(pod.initContainers?.[0]?.securityContext).toMatchObject({ runAsNonRoot: true, capabilities: { drop: ['ALL'] } });
    expect(pod.volumes.find((volume) => volume.name === 'bridge')?.secret?.items).toEqual([{ key: 'bridge.json', path: 'bridge.json' }]);

    const role = world.cluster.find('roles', NS, name) as unknown as { rules: unknown } | undefined;
    expect(role?.rules).toEqual([{ apiGroups: [''], resources: ['pods/exec'], resourceNames: ['app-0'], verbs: ['get', 'create'] }]);
    expect(world.cluster.find('rolebindings', NS, name)).toMatchObject({ roleRef: { kind: 'Role', name }, subjects: [{ kind: 'ServiceAccount', name, namespace: NS }] });

    const secret = world.cluster.find('secrets', NS, name) as unknown as { data: Record<string, string> };
    const bridge = BridgeOrders.parse(JSON.parse(Buffer.from(secret.data['bridge.json'] ?? '', 'base64').toString()));
    expect(bridge.streams).toEqual([{ name: 'db.sql', at: { namespace: NS, pod: 'app-0', container: 'db' }, command: ['pg_dump'], timeoutMs: 6 * 3_600_000 }]);
    expect(world.ran[0]).toMatchObject({ streams: [{ name: 'db.sql', mayFail: false }] });
    expect(world.backup('first')?.status?.streams).toEqual(['db.sql']);
  });

  it('leaves no right behind, also when the operator is killed after any write, or the transfer is made again', async () => {
    const script = (orders: Parameters<typeof ended>[0]) => (orders.attempt.number === 1 ? failed(orders, 'StreamFailed', 'stream db.sql is not whole', true) : ended(orders));
    const run = async (killAfter: number) => {
      const world = streaming();
      world.script = script;
      world.cluster.killAfter = killAfter;
      world.createBackup('first');
      await world.settle();
      return world;
    };
    const calm = await run(Infinity);
    for (let k = 1; k <= calm.cluster.writes + 1; k++) {
      const world = await run(k);
      expect({ k, phase: world.backup('first')?.status?.phase, rights: rights(world), secrets: world.cluster.all('secrets').length }).toEqual({ k, phase: 'Stored', rights: 0, secrets: 0 });
    }
  });

  it('leaves none when it is cancelled at any moment', async () => {
    for (let turns = 1; turns <= 5; turns++) {
      const world = streaming();
      world.script = (orders) => (orders.task === 'backup' ? 'running' : ended(orders));
      world.createBackup('first');
      for (let i = 0; i < turns; i++) await world.turn();
      world.cluster.change('backups', NS, 'first', { spec: { cancel: true } });
      await world.settle();
      expect({ turns, phase: world.backup('first')?.status?.phase, rights: rights(world) }).toEqual({ turns, phase: 'Cancelled', rights: 0 });
    }
  });

  it('waits and gives up where there is no pod to ask, and is not complete where it may be missing', async () => {
    const refused = streaming();
    refused.cluster.change('statefulsets', NS, 'app', { spec: { replicas: 0 } });
    await refused.turn();
    refused.createBackup('first');
    await refused.settle();
    expect(refused.ran).toEqual([]);
    expect(condition(refused, 'Stored')).toMatchObject({ reason: 'StreamPodMissing', message: expect.stringContaining('No pod of the namespace mounts one of the volumes') });

    const without = streaming([{ ...DUMP, onError: 'Continue', podSelector: { app: 'none' } }]);
    without.createBackup('first');
    await without.settle();
    expect(without.ran[0]).toMatchObject({ streams: [{ name: 'db.sql', mayFail: true }] });
  });

  it('needs no volume', async () => {
    const world = streaming([{ ...DUMP, podSelector: {} }]);
    world.cluster.remove('persistentvolumeclaims', NS, 'data');
    world.createBackup('first');
    await world.settle();
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', volumes: [] });
    expect(world.ran[0]).toMatchObject({ volumes: [], streams: [{ name: 'db.sql' }] });
  });

  it('that printed nothing is stored, and not good until a person says so', async () => {
    const world = streaming();
    const empty = { snapshotId: 'ab'.repeat(32), complete: true, files: 1, directories: 1, filesUnchanged: 0, bytesProcessed: 0, bytesAdded: 300 };
    world.script = (orders) => ended(orders, { backup: empty });
    world.createBackup('first');
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    expect(condition(world, 'Plausible')).toMatchObject({ status: 'False', reason: 'Empty', message: expect.stringContaining('Its streams (db.sql) hold not a single byte') });
  });
});

// What the API server refuses for good: a quota, an admission rule, a missing right.
import { describe, expect, it } from '@jest/globals';
import type { BackupPolicy } from '../../src/api/index.ts';
import { Verifications } from '../../src/controller/policy/verifications.ts';
import { KubeError, type Method } from '../../src/kube/index.ts';
import { MoverWorld, NS } from '../support/mover-world.ts';
import { VERIFICATION } from '../support/verification-facts.ts';

const WHY = 'exceeded quota: customer, requested: 1, used: 5, limited: 5';

/** From now on the API server refuses these, until the returned function is called. */
function refuse(world: MoverWorld, fits: (method: Method, path: string, body: string) => boolean): () => void {
  const { cluster } = world;
  const request = cluster.request.bind(cluster);
  cluster.request = (method, path, options) => {
    if (fits(method, path, JSON.stringify(options?.body ?? {}))) return Promise.reject(new KubeError('Forbidden', WHY, { status: 403 }));
    return request(method, path, options);
  };
  return () => {
    cluster.request = request;
  };
}

async function withBackup(): Promise<MoverWorld> {
  const world = new MoverWorld();
  await world.turn();
  world.createBackup('first');
  await world.settle();
  return world;
}

async function turns(world: MoverWorld, minutes: number): Promise<void> {
  for (let i = 0; i < minutes * 2; i++, world.cluster.now += 30_000) await world.turn();
}

const conditionOf = (world: MoverWorld) => world.restore('back')?.status?.conditions?.find(({ type }) => type === 'Succeeded');
const replicas = (world: MoverWorld) => world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas'];

describe('a restore of which the API server refuses', () => {
  it.each([
    ['the scaling down', 'ScaleRefused', (method: Method, path: string, body: string) => method === 'PATCH' && path.endsWith('/scale') && body.includes('"replicas":0')],
    ['the safety backup', 'SafetyBackupRefused', (method: Method, path: string) => method === 'POST' && path.endsWith('/backups')],
  ])('%s says so at once, gives up, and the workload runs', async (_what, reason, fits) => {
    const world = await withBackup();
    refuse(world, fits);
    world.createRestore('back', 'first');
    await turns(world, 5);
    expect(conditionOf(world)).toMatchObject({ reason, message: expect.stringContaining(WHY) });
    await turns(world, 30);
    expect(world.restore('back')?.status?.phase).toBe('Failed');
    expect(conditionOf(world)).toMatchObject({ reason, message: expect.stringMatching(/exceeded quota: .*[Gg]iven up .* Nothing was restored\.$/) });
    expect(replicas(world)).toBe(2);
  });

  it('the mover makes its attempts, gives up, and the workload runs', async () => {
    const world = await withBackup();
    refuse(world, (method, path) => method === 'POST' && path.endsWith('/jobs'));
    world.createRestore('back', 'first', { safetyBackup: 'Skip' });
    await turns(world, 60);
    expect(world.restore('back')?.status).toMatchObject({ phase: 'Failed', attempt: 4 });
    expect(conditionOf(world)).toMatchObject({ reason: 'MoverRefused', message: expect.stringContaining(WHY) });
    expect(replicas(world)).toBe(2);
    expect(world.cluster.all('secrets')).toEqual([]);
  });

  it('the scaling up says so, for as long as it takes, and goes on when it may', async () => {
    const world = await withBackup();
    const allow = refuse(world, (method, path, body) => method === 'PATCH' && path.endsWith('/scale') && body.includes('"replicas":2'));
    world.createRestore('back', 'first');
    await turns(world, 90);
    expect(world.restore('back')?.status?.phase).toBe('ScalingUp');
    expect(conditionOf(world)).toMatchObject({ reason: 'ScaleRefused' });
    allow();
    await turns(world, 2);
    expect(world.restore('back')?.status?.phase).toBe('Succeeded');
    expect(replicas(world)).toBe(2);
  });

  it('the new volume says so, and goes on when there is room', async () => {
    const world = await withBackup();
    const allow = refuse(world, (method, path) => method === 'POST' && path.endsWith('/persistentvolumeclaims'));
    world.createRestore('back', 'first', { target: { type: 'NewVolume' } });
    await turns(world, 3);
    expect(conditionOf(world)).toMatchObject({ reason: 'NewVolumeRefused', message: expect.stringContaining(WHY) });
    allow();
    await turns(world, 2);
    expect(conditionOf(world)?.reason).not.toBe('NewVolumeRefused');
  });
});

describe('a verification whose Job the API server refuses', () => {
  it('is a failed attempt, and keeps nothing else of its policy from being decided', async () => {
    const world = await withBackup();
    const verification = { phase: 'Running', scheduledAt: '2030-01-01T00:00:00Z', run: 0, attempt: 1 };
    world.cluster.change('backuppolicies', NS, 'daily', { spec: { verification: VERIFICATION }, status: { verification } });
    refuse(world, (method, path) => method === 'POST' && path.endsWith('/jobs'));
    const policy = world.cluster.find('backuppolicies', NS, 'daily') as unknown as BackupPolicy;
    const verifications = new Verifications(world.context, () => undefined);
    const signal = new AbortController().signal;
    const { facts, plan } = await verifications.decide(policy, [world.backup('first')].flatMap((backup) => backup ?? []), signal);
    expect(plan.before).toMatchObject([{ do: 'startMover' }]);
    const instead = await verifications.before(facts, plan, signal);
    expect(instead.status).toMatchObject({ phase: 'Queued', attempt: 2, message: expect.stringContaining(`MoverRefused: The API server refuses what the mover needs: ${WHY}`) });
  });
});

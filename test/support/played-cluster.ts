import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { RealCredentialMinter } from '../../src/cmd/operator/credential-minter.ts';
import { SecretSigner } from '../../src/cmd/operator/installation-signer.ts';
import { RealLockProver } from '../../src/cmd/operator/lock-prover.ts';
import { operatorMetrics } from '../../src/cmd/operator/metrics.ts';
import { RealRecoverySource } from '../../src/cmd/operator/recovery-source.ts';
import { RealReplicationAccess } from '../../src/cmd/operator/replication-access.ts';
import { RealResultReader } from '../../src/cmd/operator/result-reader.ts';
import { runControllers } from '../../src/cmd/operator/run-controllers.ts';
import { RealTenantEraser } from '../../src/cmd/operator/tenant-eraser.ts';
import { RealTenantRecords } from '../../src/cmd/operator/tenant-records.ts';
import type { Ports, RawSecret } from '../../src/controller/index.ts';
import { EventRecorder, Informer, ResourceClient, resourceTypes, type KubeObject, type ResourceType } from '../../src/kube/index.ts';
import { runMover } from '../../src/mover/index.ts';
import * as engine from '../../src/restic/index.ts';
import { ApiServer } from './api-server.ts';
import { installCrds } from './installed-crds.ts';

const FOUND = { ok: true, message: 'fine' } as const;
const MOVERS = 'movers';

type JobObject = KubeObject & { readonly spec: { readonly completions?: number }; readonly status?: { readonly conditions?: readonly unknown[] } };

/**
 * A real API server with the operator's controllers as they are wired, and what a kubelet would do for its movers: it runs them in this process, with a
 * folder in place of the volume of each namespace.
 */
export class PlayedCluster {
  readonly failures: unknown[] = [];
  readonly #api: ApiServer;
  readonly #folder: string;
  readonly #secrets: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly #stopping = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(api: ApiServer, folder: string, secrets: ReadonlyMap<string, Readonly<Record<string, string>>>) {
    this.#api = api;
    this.#folder = folder;
    this.#secrets = secrets;
  }

  /**
   * @param folder - of its own; `volumeOf` lies in it
   * @param secrets - those of the operator's namespace, by name
   */
  static async start(folder: string, secrets: ReadonlyMap<string, Readonly<Record<string, string>>>): Promise<PlayedCluster> {
    await mkdir(folder, { recursive: true });
    const world = new PlayedCluster(await ApiServer.start(), folder, secrets);
    try {
      await installCrds(world.#api.connect());
      await world.client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: MOVERS } });
    } catch (error) {
      await world.#api.stop();
      throw error;
    }
    world.#ended = Promise.all([world.#operator(), world.#kubelet()]);
    return world;
  }

  /** What the only claim of a namespace holds. */
  volumeOf(namespace: string): string {
    return join(this.#folder, `volume-${namespace}`);
  }

  client<T extends KubeObject = KubeObject>(type: ResourceType): ResourceClient<T> {
    return new ResourceClient<T>(this.#api.connect(), type);
  }

  async until<T>(what: string, look: () => Promise<T | undefined>, ms = 60_000): Promise<T> {
    const end = Date.now() + ms;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (Date.now() > end) throw new Error(`waited in vain for ${what}; failures: ${this.failures.map(String).join('; ')}`);
      await sleep(100);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
    await this.#api.stop();
  }

  /** A claim that is bound, with an empty folder behind it unless that is there. */
  async claim(namespace: string, name: string): Promise<void> {
    await mkdir(this.volumeOf(namespace), { recursive: true });
    const claims = this.client(resourceTypes.persistentVolumeClaims);
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    await claims.create({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace }, spec });
    await claims.patch(name, namespace, { status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } } }, { subresource: 'status' });
  }

  #operator(): Promise<void> {
    const connection = this.#api.connect();
    const source = { lookup: (name: string) => this.#secrets.get(name), namespace: 'default' };
    const credentialMinter = new RealCredentialMinter(source);
    const ports: Ports = {
      clock: { now: () => Date.now() },
      locationProbe: { probe: () => Promise.resolve({ storageReachable: FOUND, storageWritable: FOUND, keyUsable: FOUND, storageIsolated: FOUND, keysIsolated: FOUND }) },
      lockProver: new RealLockProver(source, () => Date.now()),
      replication: new RealReplicationAccess(source),
      tenantRecords: new RealTenantRecords(source, new SecretSigner(connection, 'default', { info: () => undefined })),
      recovery: new RealRecoverySource(source),
      credentialMinter,
      resultReader: new RealResultReader(source),
      audit: { record: () => Promise.resolve() },
      eraser: new RealTenantEraser(source),
    };
    const metrics = operatorMetrics(pino({ enabled: false }));
    return runControllers(
      {
        connection,
        secrets: new Informer<RawSecret>(new ResourceClient<RawSecret>(connection, resourceTypes.secrets), { namespace: 'default' }),
        events: new EventRecorder(connection, 'test', () => new Date(), () => undefined),
        metrics: { ...metrics, observer: { reconciled: () => undefined, failed: (_name, _key, error) => void this.failures.push(error) } },
        ports,
        operatorNamespace: 'default',
        moverImage: 'mover:1',
        moverNamespace: MOVERS,
        newTenantId: () => randomBytes(16).toString('hex'),
        onError: () => undefined,
        onSynced: () => undefined,
        onCaughtUp: () => undefined,
      },
      this.#stopping.signal,
    );
  }

  async #kubelet(): Promise<void> {
    const jobs = this.client<JobObject>(resourceTypes.jobs);
    const seen = new Set<string>();
    while (!this.#stopping.signal.aborted) {
      for (const job of (await jobs.list()).items) {
        if (seen.has(job.metadata.uid)) continue;
        seen.add(job.metadata.uid);
        await this.#run(job);
      }
      await sleep(100);
    }
  }

  async #run({ metadata: { name, namespace = '' }, spec: { completions = 1 } }: JobObject): Promise<void> {
    const secret = await this.client<RawSecret>(resourceTypes.secrets).get(name, namespace);
    const directory = await mkdtemp(join(this.#folder, 'orders-'));
    for (const [file, value] of Object.entries(secret?.data ?? {})) {
      const text = Buffer.from(value, 'base64').toString().replaceAll('"mountPath":"/volumes/data"', `"mountPath":${JSON.stringify(this.volumeOf(namespace))}`);
      await writeFile(join(directory, file), text);
    }
    const exits = [];
    for (let shard = 0; shard < completions; shard++) {
      exits.push(
        await runMover({
          ordersDirectory: directory,
          terminationMessage: join(directory, `termination-${shard}`),
          write: () => undefined,
          signal: this.#stopping.signal,
          engine,
          now: () => Date.now(),
          bridgeSocket: '/nowhere',
          shard,
          peakMemory: () => 0,
          bytesRead: () => undefined,
        }),
      );
    }
    if (exits.some((exit) => exit !== 0)) this.failures.push(new Error(`a mover failed: ${await readFile(join(directory, 'termination-0'), 'utf8')}`));
    const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => ({ type, status: 'True', lastProbeTime: now, lastTransitionTime: now }));
    await this.client(resourceTypes.jobs).patch(name, namespace, { status: { startTime: now, completionTime: now, succeeded: completions, conditions } }, { subresource: 'status' });
  }
}

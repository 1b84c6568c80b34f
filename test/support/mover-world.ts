/** A namespace with policy, tenant, location and volume on a `FakeCluster`, and the reconcilers that work in it, in small steps. */
import type { Backup, BackupLocation, BackupPolicy, BackupTenant, MoverOrders, Restore } from '../../src/api/index.ts';
import { BackupReconciler } from '../../src/controller/backup/index.ts';
import { RestoreReconciler } from '../../src/controller/restore/index.ts';
import { cacheIndexes } from '../../src/controller/caches.ts';
import { AdmissionLock, MoverQueues, type Listener, type MoverContext } from '../../src/controller/mover/index.ts';
import { PortError, type AuditRecorder, type CredentialMinter, type ResultReader } from '../../src/controller/ports.ts';
import type {
  RawClaim,
  RawEvent,
  RawGroupContent,
  RawGroupSnapshot,
  RawJob,
  RawNamespace,
  RawNode,
  RawPod,
  RawSecret,
  RawSnapshot,
  RawSnapshotClass,
  RawSnapshotContent,
  RawStorageClass,
  RawVolume,
} from '../../src/controller/raw-objects.ts';
import { decideQuota } from '../../src/decide/quota.ts';
import { sweepFamily, type SweepContext } from '../../src/controller/copy/index.ts';
import { familyOf, familyOfLabel, type AuditRecord, type SpokenFacts } from '../../src/decide/index.ts';
import type { EventInput } from '../../src/kube/index.ts';
import { FakeCluster, Killed, type Stored } from './fake-cluster.ts';
import { ended, type MoverScript } from './mover-ends.ts';

export { ended, failed, result, type MoverEnd, type MoverScript } from './mover-ends.ts';

export const NS = 'shop';
export const MOVERS = 'movers';
export const TENANT_ID = '0123456789abcdef0123456789abcdef';
const START = Date.parse('2030-01-01T00:00:00Z');

export class MoverWorld {
  readonly cluster = new FakeCluster(START);
  readonly events: EventInput[] = [];
  readonly ran: MoverOrders[] = [];
  /** Result objects in the bucket, by key. */
  readonly results = new Map<string, unknown>();
  script: MoverScript = (orders) => ended(orders);
  minter: CredentialMinter = {
    mint: () =>
      Promise.resolve({
        credentials: { version: 1, s3: { accessKeyId: 'a', secretAccessKey: 's' }, kms: { primary: { accessKeyId: 'k', secretAccessKey: 's' } } },
        expiresAt: undefined,
      }),
  };
  /** Commands that ran in pods, as `pod container: words`, in order. */
  readonly executed: string[] = [];
  /** How a command ends; `running` never does. */
  execScript: (command: string, pod: string) => { readonly ok: boolean; readonly message: string; readonly output: string } | 'running' = () => ({ ok: true, message: 'it ended well', output: '' });
  /** Restarts the operator right when this many commands have ended, before it can say so. */
  restartAfterExec = Infinity;
  /** The caches do not show Jobs, their pods and safety backups yet. */
  blind = false;
  /** The caches do not show snapshots of volumes yet. */
  blindToCopies = false;
  /** The caches show no Backups. */
  blindToBackups = false;
  /** The bucket's results. */
  reader: ResultReader = { read: (_location, _tenant, key) => Promise.resolve(this.results.get(key)) };
  /** What movers are heard to say. */
  spoken: SpokenFacts = { progress: undefined, trouble: undefined };
  /** What their logs hold. */
  lately: Listener['lately'] = () => Promise.resolve('silent');
  /** What was recorded, in order. */
  readonly recorded: AuditRecord[] = [];
  /** The audit trail. */
  audit: AuditRecorder = {
    record: (_location, _tenant, record) => {
      if (!this.recorded.some(({ id }) => id === record.id)) this.recorded.push(record);
      return Promise.resolve();
    },
  };
  /** After how many milliseconds each backup and restore is looked at again though nothing happens. */
  readonly looksAgain = new Map<string, number | undefined>();
  /** The node that new pods run on. */
  node = 'node-1';
  /** Whether the controller of policies comes round to grant slots. */
  grants = true;
  /** Whether the scheduler finds a node for pods. */
  placed = true;
  /** Called before a backup or a restore is looked at. */
  beforeLook: () => void = () => undefined;
  /** Errors that end one look, as any error does, and not the test. */
  tolerates: (error: unknown) => boolean = () => false;
  /** Jobs that a queueing system holds, by their labels. */
  suspended: (labels: Readonly<Record<string, string>>) => boolean = () => false;
  /** What the operator that runs now works with. */
  context!: MoverContext;
  #backups!: BackupReconciler;
  #sweeping!: SweepContext;
  #restores!: RestoreReconciler;
  readonly #started = new Set<string>();

  constructor() {
    const { cluster } = this;
    const ns = cluster.put('namespaces', undefined, { metadata: { name: NS, uid: 'ns-uid' }, status: { phase: 'Active' } });
    cluster.put('backuplocations', undefined, location());
    cluster.put('backuptenants', undefined, {
      metadata: { name: 'shop-tenant' },
      spec: { tenantId: TENANT_ID, namespace: NS, namespaceUID: ns.metadata.uid, location: 'here' },
    });
    cluster.put('backuppolicies', NS, {
      metadata: { name: 'daily' },
      spec: {
        location: 'here',
        copyMethod: 'Direct',
        quota: { maxBackups: 7 },
        maxAge: '14d',
        shrinkWarningPercent: 50,
        confirmDeletionsFrom: 5,
        history: { failedBackups: 5, restores: 10 },
        mover: {},
        workload: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'app' },
      },
    });
    cluster.put('persistentvolumeclaims', NS, {
      metadata: { name: 'data' },
      spec: { volumeMode: 'Filesystem', accessModes: ['ReadWriteOnce'] },
      status: { phase: 'Bound' },
    });
    cluster.put('statefulsets', NS, { metadata: { name: 'app', uid: 'app-uid' }, spec: { replicas: 2 } });
    this.#workloadPods();
    this.restart();
  }

  /** A new operator: nothing is remembered. */
  restart(): void {
    const { cluster } = this;
    const isOurs = ({ metadata }: { metadata: { labels?: Readonly<Record<string, string>> | undefined } }) =>
      metadata.labels?.['app.kubernetes.io/managed-by'] === 'tenant-backup';
    const context: MoverContext = {
      connection: cluster,
      caches: {
        namespaces: cluster.cache<RawNamespace>('namespaces'),
        claims: cluster.cache<RawClaim>('persistentvolumeclaims', cacheIndexes.claims),
        volumes: cluster.cache<RawVolume>('persistentvolumes', cacheIndexes.volumes),
        storageClasses: cluster.cache<RawStorageClass>('storageclasses'),
        snapshotClasses: cluster.cache<RawSnapshotClass>('volumesnapshotclasses'),
        snapshots: cluster.cache<RawSnapshot>('volumesnapshots', cacheIndexes.snapshots, () => !this.blindToCopies),
        snapshotContents: cluster.cache<RawSnapshotContent>('volumesnapshotcontents', cacheIndexes.snapshotContents),
        groupClasses: cluster.cache<RawSnapshotClass>('volumegroupsnapshotclasses'),
        groups: cluster.cache<RawGroupSnapshot>('volumegroupsnapshots', cacheIndexes.groups),
        groupContents: cluster.cache<RawGroupContent>('volumegroupsnapshotcontents', cacheIndexes.groupContents),
        locations: cluster.cache<BackupLocation>('backuplocations'),
        tenants: cluster.cache<BackupTenant>('backuptenants', cacheIndexes.tenants),
        policies: cluster.cache<BackupPolicy>('backuppolicies', cacheIndexes.policies),
        backups: cluster.cache<Backup>('backups', cacheIndexes.backups, ({ spec }) => !this.blindToBackups && (!this.blind || spec.trigger !== 'Safety')),
        restores: cluster.cache<Restore>('restores', cacheIndexes.restores),
        jobs: cluster.cache<RawJob>('jobs', cacheIndexes.jobs, (job) => !this.blind && isOurs(job)),
        moverPods: cluster.cache<RawPod>('pods', cacheIndexes.moverPods, (pod) => !this.blind && isOurs(pod)),
        nodes: cluster.cache<RawNode>('nodes'),
        warnings: [cluster.cache<RawEvent>('events', cacheIndexes.warnings)],
      },
      clock: { now: () => cluster.now },
      minter: { mint: (...args) => this.minter.mint(...args) },
      results: { read: (...args) => this.reader.read(...args) },
      audit: { record: (...args) => this.audit.record(...args) },
      listener: { listen: () => undefined, spoken: () => this.spoken, lately: (...args) => this.lately(...args), forget: () => undefined },
      queueOf: (location) => {
        const queues = new MoverQueues(context);
        queues.fill();
        return queues.of(location);
      },
      admission: new AdmissionLock(),
      exec: async ({ pod, container }, command) => {
        const words = command.join(' ');
        this.executed.push(`${pod} ${container}: ${words}`);
        if (this.executed.length === this.restartAfterExec) this.restart();
        const end = this.execScript(words, pod);
        if (end === 'running') return new Promise(() => undefined);
        return Promise.resolve({ ...end, exitCode: end.ok ? 0 : 1 });
      },
      defaultImage: 'mover:1',
      moverNamespace: MOVERS,
    };
    const moverSecrets = cluster.cache<RawSecret>('secrets', cacheIndexes.moverSecrets, (secret) => secret.metadata.namespace === MOVERS && isOurs(secret));
    this.#sweeping = { connection: cluster, caches: { ...context.caches, moverSecrets }, moverNamespace: MOVERS };
    const events = { record: (_subject: unknown, event: EventInput) => void this.events.push(event) };
    this.context = context;
    this.#backups = new BackupReconciler(context, events, () => undefined);
    this.#restores = new RestoreReconciler(context, events, () => undefined);
  }

  /** What the bucket says while it does not answer. */
  unreachable(): PortError {
    return new PortError('Unavailable', 'the bucket does not answer', { retryable: true });
  }

  /** The node's kubelet is heard of no more: its pods stay as they are. */
  loseNode(name: string): void {
    this.cluster.stuckNodes.add(name);
    const conditions = [{ type: 'Ready', status: 'Unknown', lastTransitionTime: new Date(this.cluster.now).toISOString() }];
    if (this.cluster.find('nodes', undefined, name) === undefined) this.cluster.put('nodes', undefined, { metadata: { name }, status: { conditions } });
    else this.cluster.change('nodes', undefined, name, { status: { conditions } });
  }

  findNode(name: string): void {
    this.cluster.stuckNodes.delete(name);
    this.cluster.change('nodes', undefined, name, { status: { conditions: [{ type: 'Ready', status: 'True' }] } });
  }

  backup(name: string): Backup | undefined {
    return this.cluster.find('backups', NS, name) as unknown as Backup | undefined;
  }

  restore(name: string): Restore | undefined {
    return this.cluster.find('restores', NS, name) as unknown as Restore | undefined;
  }

  createBackup(name: string, spec: Record<string, unknown> = {}): void {
    this.cluster.put('backups', NS, { metadata: { name, uid: `uid-${name}` }, spec: { policy: 'daily', ...spec } });
  }

  createRestore(name: string, backup: string, spec: Record<string, unknown> = {}): void {
    this.cluster.put('restores', NS, { metadata: { name, uid: `uid-${name}` }, spec: { source: { backup }, ...spec } });
  }

  /** Whether the garbage collector comes between any two reconciles. */
  collectsAtOnce = false;

  /** Everybody has one turn; a killed operator is started anew and goes on in the next. */
  async turn(): Promise<void> {
    this.#grantSlots();
    await this.#reconcileAll();
    await this.#sweep();
    this.#kubelet();
    this.cluster.collectGarbage();
    this.storage?.turn();
    this.#workloadPods();
  }

  /** Turns until nothing changes any more, time included: whoever waits for a time gets it. */
  async settle(turns = 60): Promise<void> {
    let quiet = 0;
    for (let turn = 0; turn < turns && quiet < 3; turn++) {
      const before = this.#snapshot();
      await this.turn();
      this.cluster.now += 20_000;
      quiet = before === this.#snapshot() ? quiet + 1 : 0;
    }
  }

  async #reconcileAll(): Promise<void> {
    for (const [kind, reconciler] of [
      ['backups', this.#backups],
      ['restores', this.#restores],
    ] as const) {
      for (const { metadata } of this.cluster.all(kind)) {
        this.beforeLook();
        try {
          this.looksAgain.set(metadata.name, (await reconciler.reconcile(`${NS}/${metadata.name}`, new AbortController().signal)).requeueAfterMs);
          if (this.collectsAtOnce) this.cluster.collectGarbage();
        } catch (error) {
          if (this.tolerates(error)) continue;
          if (!(error instanceof Killed)) throw error;
          this.restart();
          return;
        }
      }
    }
  }

  /** A storage system with its driver, in a world that has one. */
  storage: { turn(): void } | undefined;

  async #sweep(): Promise<void> {
    const kinds = ['jobs', 'secrets', 'persistentvolumeclaims', 'volumesnapshots', 'volumegroupsnapshots'];
    const names = kinds.flatMap((kind) => this.cluster.all(kind)).map(({ metadata }) => metadata.name);
    names.push(...this.cluster.all('volumesnapshotcontents').map(({ spec }) => (spec?.['volumeSnapshotRef'] as { name: string }).name));
    names.push(...this.cluster.all('persistentvolumes').map(({ spec }) => (spec?.['claimRef'] as { name: string } | undefined)?.name ?? ''));
    names.push(...this.cluster.all('volumegroupsnapshotcontents').map(({ spec }) => (spec?.['volumeGroupSnapshotRef'] as { name: string }).name));
    for (const { metadata } of this.cluster.all('persistentvolumeclaims')) for (const label of Object.keys(metadata.labels ?? {})) names.push(`${familyOfLabel(label) ?? ''}-`);
    for (const family of new Set(names.flatMap((name) => familyOf(name) ?? []))) {
      try {
        await sweepFamily(this.#sweeping, family, new AbortController().signal);
      } catch (error) {
        if (this.tolerates(error)) continue;
        if (!(error instanceof Killed)) throw error;
        this.restart();
        return;
      }
    }
  }

  #grantSlots(): void {
    const policy = this.cluster.find('backuppolicies', NS, 'daily') as unknown as BackupPolicy | undefined;
    if (policy === undefined || !this.grants) return;
    const quota = decideQuota(policy, this.cluster.all('backups') as unknown as Backup[]);
    this.cluster.change('backuppolicies', NS, 'daily', { status: { quota: { refused: null, ...quota } } });
  }

  /** The Job controller and the kubelet: a pod for each Job, that runs for one turn and then ends as the script says. */
  #kubelet(): void {
    for (const job of this.cluster.all('jobs')) {
      const pod = this.cluster.find('pods', job.metadata.namespace, `${job.metadata.name}-pod`);
      const secret = this.cluster.find('secrets', job.metadata.namespace, job.metadata.name) as unknown as { data: Record<string, string> } | undefined;
      if (job.metadata.deletionTimestamp !== undefined || secret === undefined) continue;
      const orders = JSON.parse(Buffer.from(secret.data['orders.json'] ?? '', 'base64').toString()) as MoverOrders;
      if (pod === undefined) this.#startPod(job, orders);
      else this.#endPod(job, orders);
    }
  }

  #startPod(job: Stored, orders: MoverOrders): void {
    if (this.#started.has(job.metadata.uid)) return;
    if (this.suspended(job.metadata.labels ?? {})) {
      this.cluster.change('jobs', NS, job.metadata.name, { status: { conditions: [{ type: 'Suspended', status: 'True' }] } });
      return;
    }
    this.#started.add(job.metadata.uid);
    this.ran.push(orders);
    this.cluster.put('pods', job.metadata.namespace, {
      metadata: {
        name: `${job.metadata.name}-pod`,
        labels: { ...job.metadata.labels, 'batch.kubernetes.io/job-name': job.metadata.name, 'job-name': job.metadata.name },
        ownerReferences: [{ kind: 'Job', name: job.metadata.name, uid: job.metadata.uid }],
      },
      ...(this.placed
        ? {
            spec: { nodeName: this.node, volumes: (job.spec?.['template'] as { spec: { volumes: unknown[] } }).spec.volumes },
            status: { phase: 'Running', containerStatuses: [{ name: 'mover', state: { running: { startedAt: new Date(this.cluster.now).toISOString() } } }] },
          }
        : { status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'pod has unbound immediate PersistentVolumeClaims' }] } }),
    });
  }

  #endPod(job: Stored, orders: MoverOrders): void {
    const pod = this.cluster.find('pods', NS, `${job.metadata.name}-pod`);
    if (pod?.status?.['phase'] === 'Pending' || this.cluster.stuckNodes.has(String(pod?.spec?.['nodeName']))) return;
    const end = this.script(orders);
    if (end === 'running') return;
    const name = `${job.metadata.name}-pod`;
    if (end.lost === true) {
      this.cluster.remove('pods', job.metadata.namespace, name);
      this.cluster.change('jobs', job.metadata.namespace, job.metadata.name, {
        status: {
          conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' }],
        },
      });
      return;
    }
    this.cluster.change('pods', job.metadata.namespace, name, {
      status: {
        phase: end.exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: [
          { name: 'mover', state: { terminated: { exitCode: end.exitCode, reason: end.reason ?? 'Completed', message: end.message ?? '' } } },
        ],
      },
    });
  }

  /** The StatefulSet's pod holds the volume as long as it has replicas. */
  #workloadPods(): void {
    const replicas = this.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas'] as number | undefined;
    const pod = this.cluster.find('pods', NS, 'app-0');
    if ((replicas ?? 0) > 0 && pod === undefined) {
      this.cluster.put('pods', NS, {
        metadata: { name: 'app-0' },
        spec: { nodeName: 'node-1', containers: [{ name: 'db' }, { name: 'proxy' }], volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] },
        status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
      });
    }
    if ((replicas ?? 0) === 0 && pod !== undefined) this.cluster.remove('pods', NS, 'app-0');
  }

  #snapshot(): string {
    const all = ['backups', 'restores', 'jobs', 'secrets', 'pods', 'statefulsets', 'volumesnapshots', 'volumesnapshotcontents', 'volumegroupsnapshots', 'volumegroupsnapshotcontents', 'persistentvolumeclaims', 'persistentvolumes'].flatMap((kind) => this.cluster.all(kind));
    return JSON.stringify(all, (key, value: unknown) => (key === 'resourceVersion' ? undefined : value));
  }
}

function location() {
  return {
    metadata: { name: 'here' },
    spec: {
      s3: {
        endpoint: 'http://s3.test',
        region: 'us-east-1',
        bucket: 'bucket',
        prefix: '',
        forcePathStyle: true,
        credentialsSecretRef: { name: 's3' },
        sts: { mode: 'Auto', sessionDuration: '1h' },
      },
      kms: { provider: 'aws', aws: { region: 'us-east-1', keyId: 'alias/a', credentialsSecretRef: { name: 'kms' } } },
      limits: { movers: 10, moversPerNamespace: 1 },
      mover: { resources: { limits: { memory: '1Gi' } } },
    },
    status: { conditions: [{ type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: '2030-01-01T00:00:00Z' }] },
  };
}

// Runs the mover as a Job does: orders and credentials in a folder, real S3 and KMS, a process of its own.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { MoverLine, MoverResult, resultKey, type BackupOrders, type ForgetOrders, type MoverCredentials, type MoverOrders, type RestoreOrders, type VerifyOrders } from '../../src/api/index.ts';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { startTogether } from './loopback-process.ts';
import { backupOrders, forgetOrders, restoreOrders, verifyOrders } from './mover-orders.ts';
import { runProcess, type ProgramOptions } from './program.ts';
import { startKms, startS3, type KmsService, type S3Service } from './services.ts';

export interface MoverRun {
  readonly status: number;
  readonly lines: readonly MoverLine[];
  /** The termination message. */
  readonly message: MoverResult;
  /** The result in the bucket, where it got there. */
  readonly result: MoverResult | undefined;
  /** All that left the mover, for tests that look for secrets. */
  readonly everything: string;
}

export class MoverBench {
  readonly folder: string;
  readonly s3: S3Service;
  readonly kmsA: KmsService;
  readonly kmsB: KmsService;
  readonly store: ObjectStore;

  private constructor(parts: Pick<MoverBench, 'folder' | 's3' | 'kmsA' | 'kmsB' | 'store'>) {
    this.folder = parts.folder;
    this.s3 = parts.s3;
    this.kmsA = parts.kmsA;
    this.kmsB = parts.kmsB;
    this.store = parts.store;
  }

  static async start(): Promise<MoverBench> {
    const [s3, kmsA, kmsB] = await startTogether([startS3(), startKms(), startKms()]);
    const folder = await mkdtemp(join(tmpdir(), 'mover-'));
    const store = await openStore(`s3://${s3.bucket}?endpoint=${s3.endpoint}&region=${s3.region}`, {
      s3: { credentials: { accessKeyId: s3.rootAccessKeyId, secretAccessKey: s3.rootSecretAccessKey } },
    });
    return new MoverBench({ folder, s3, kmsA, kmsB, store });
  }

  async stop(): Promise<void> {
    await this.store.close();
    await Promise.all([this.s3.stop(), this.kmsA.stop(), this.kmsB.stop()]);
    await rm(this.folder, { recursive: true, force: true });
  }

  tenantStore(tenantId: string): ObjectStore {
    return this.store.within(`test/tenants/${tenantId}`);
  }

  backupOrders(changes: Partial<BackupOrders> = {}): BackupOrders {
    return backupOrders({ ...this.#services(), ...changes });
  }

  restoreOrders(changes: Partial<RestoreOrders> & Pick<RestoreOrders, 'snapshotId'>): RestoreOrders {
    return restoreOrders({ ...this.#services(), ...changes });
  }

  forgetOrders(changes: Partial<ForgetOrders> = {}): ForgetOrders {
    return forgetOrders({ ...this.#services(), ...changes });
  }

  verifyOrders(changes: Partial<VerifyOrders> & Pick<VerifyOrders, 'sample' | 'scratch'>): VerifyOrders {
    return verifyOrders({ ...this.#services(), ...changes });
  }

  credentials(changes: Partial<MoverCredentials> = {}): MoverCredentials {
    const { s3, kmsA, kmsB } = this;
    return {
      version: 1,
      s3: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
      kms: {
        a: { accessKeyId: kmsA.accessKeyId, secretAccessKey: kmsA.secretAccessKey },
        b: { accessKeyId: kmsB.accessKeyId, secretAccessKey: kmsB.secretAccessKey },
      },
      ...changes,
    };
  }

  /** A folder as the kubelet mounts it. */
  async mount(orders: unknown, credentials: unknown = this.credentials()): Promise<string> {
    const folder = join(this.folder, `orders-${randomBytes(6).toString('hex')}`);
    await mkdir(folder);
    await writeFile(join(folder, 'orders.json'), JSON.stringify(orders));
    await writeFile(join(folder, 'credentials.json'), JSON.stringify(credentials));
    return folder;
  }

  async run(orders: MoverOrders, credentials?: unknown, options?: ProgramOptions): Promise<MoverRun> {
    return this.runMounted(await this.mount(orders, credentials), orders, options);
  }

  async runMounted(folder: string, orders: MoverOrders, options?: ProgramOptions): Promise<MoverRun> {
    const termination = join(folder, 'termination-log');
    const run = await runProcess(['mover', '--orders', folder, '--termination-message', termination], options);
    const message = await readFile(termination, 'utf8').catch(() => '');
    const result = await this.#readResult(orders);
    const lines = run.stdout.split('\n').filter((line) => line !== '');
    const everything = [run.stdout, run.stderr, message, result ?? ''].join('\n');
    if (message === '') throw new Error(`the mover left no termination message (status ${run.status}): ${everything}`);
    return {
      status: run.status,
      lines: lines.map((line) => MoverLine.parse(JSON.parse(line))),
      message: MoverResult.parse(JSON.parse(message)),
      result: result === undefined ? undefined : MoverResult.parse(JSON.parse(result)),
      everything,
    };
  }

  #readResult(orders: MoverOrders): Promise<string | undefined> {
    const key = resultKey(orders.tenant.generation, orders.attempt.uid, orders.attempt.number);
    return this.tenantStore(orders.tenant.id).get(key).then(
      (bytes) => new TextDecoder().decode(bytes),
      () => undefined,
    );
  }

  /** Keys of a tenant's objects below a prefix. */
  async list(tenantId: string, prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.tenantStore(tenantId).list(prefix)) keys.push(key);
    return keys;
  }

  #services(): Pick<BackupOrders, 'storage' | 'kms'> {
    const { s3, kmsA, kmsB } = this;
    return {
      storage: { endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, prefix: 'test', forcePathStyle: true },
      kms: [
        { name: 'a', provider: 'aws', endpoint: kmsA.endpoint, region: kmsA.region, keyId: kmsA.keyId, use: 'wrapAndUnwrap' },
        { name: 'b', provider: 'aws', endpoint: kmsB.endpoint, region: kmsB.region, keyId: kmsB.keyId, use: 'wrap' },
      ],
    };
  }
}

/** A new tenant's id. */
export function newTenant(): { readonly id: string; readonly generation: number } {
  return { id: randomBytes(16).toString('hex'), generation: 1 };
}

/** An attempt's names. */
export function attempt(uid: string, number = 1): { readonly name: string; readonly number: number; readonly uid: string } {
  return { name: `tbmover-${uid}-${number}`, number, uid };
}

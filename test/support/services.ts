// S3 and KMS for tests that need no cluster: containers where a Docker daemon answers, else processes on the loopback
// address. What is missing is a failure, never a skipped test.
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenericContainer, Wait, type StartedTestContainer } from 'testcontainers';
import { binary } from '../ground/binaries.ts';
import { KMS_CREDENTIALS, KMS_REGION, MOTO_VERSION, createKmsKey, motoServer } from '../ground/kms.ts';
import { run } from '../ground/run.ts';
import { S3_REGION, fullUser, generateCredentials, minioCommand, setUpS3 } from '../ground/s3.ts';
import { freePort, startProcess } from './loopback-process.ts';

export interface S3Service {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Everything in the bucket, and AssumeRole with a session policy: what an operator holds. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly rootAccessKeyId: string;
  readonly rootSecretAccessKey: string;
  readonly stop: () => Promise<void>;
}

export interface KmsService {
  readonly endpoint: string;
  readonly region: string;
  readonly keyId: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly stop: () => Promise<void>;
}

export interface S3Options {
  /** Versioned and lockable, without a default retention. */
  readonly objectLock?: boolean;
  /** Takes `bucket.domain` as host name beside the bucket in the path. */
  readonly domain?: string;
}

/** Starts an S3 service with one bucket. */
export async function startS3(options: S3Options = {}): Promise<S3Service> {
  const root = generateCredentials();
  const bucket = 'tenant-backup-test';
  const user = fullUser(bucket);
  const started = (await dockerAnswers()) ? await startS3Container(root, options) : await startS3Process(root, options);
  say(`S3 for this test: ${started.how} at ${started.endpoint}`);
  try {
    await setUpS3({ endpoint: started.endpoint, root, bucket, objectLock: options.objectLock ?? false, users: [user] });
  } catch (error) {
    await started.stop();
    throw error;
  }
  return {
    endpoint: started.endpoint,
    region: S3_REGION,
    bucket,
    accessKeyId: user.accessKeyId,
    secretAccessKey: user.secretAccessKey,
    rootAccessKeyId: root.accessKeyId,
    rootSecretAccessKey: root.secretAccessKey,
    stop: started.stop,
  };
}

/** Starts a KMS API with one key. */
export async function startKms(): Promise<KmsService> {
  const started = (await dockerAnswers()) ? await startKmsContainer() : await startKmsProcess();
  say(`KMS for this test: ${started.how} at ${started.endpoint}`);
  try {
    const keyId = await createKmsKey(started.endpoint, 'tests');
    const credentials = { accessKeyId: KMS_CREDENTIALS.accessKeyId, secretAccessKey: KMS_CREDENTIALS.secretAccessKey };
    return { endpoint: started.endpoint, region: KMS_REGION, keyId, ...credentials, stop: started.stop };
  } catch (error) {
    await started.stop();
    throw error;
  }
}

/** One line; Jest would add where console.error was called from. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

interface Started {
  readonly how: string;
  readonly endpoint: string;
  readonly stop: () => Promise<void>;
}

type Root = ReturnType<typeof generateCredentials>;

async function dockerAnswers(): Promise<boolean> {
  try {
    await run('docker', ['info'], {});
    return true;
  } catch {
    return false;
  }
}

async function startS3Process(root: Root, options: S3Options): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-s3-'));
  const [port, consolePort] = [await freePort(), await freePort()];
  const command = minioCommand({ address: `127.0.0.1:${port}`, console: `127.0.0.1:${consolePort}`, folder, root });
  const stop = startProcess(await binary('minio'), command.args, { ...command.env, ...domainOf(options) });
  return {
    how: 'a local process',
    endpoint: `http://127.0.0.1:${port}`,
    stop: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function domainOf({ domain }: S3Options): Record<string, string> {
  return domain === undefined ? {} : { MINIO_DOMAIN: domain };
}

async function startKmsProcess(): Promise<Started> {
  const port = await freePort();
  const stop = startProcess(await motoServer(), ['-H', '127.0.0.1', '-p', String(port)], {});
  return { how: 'a local process', endpoint: `http://127.0.0.1:${port}`, stop };
}

async function startS3Container(root: Root, options: S3Options): Promise<Started> {
  const command = minioCommand({ address: ':9000', console: ':9001', folder: '/data', root });
  const container = await containerOf('s3', async (context) => cp(await binary('minio'), join(context, 'minio')), (image) =>
    image
      .withCommand(command.args)
      .withEnvironment({ ...command.env, ...domainOf(options) })
      .withExposedPorts(9000)
      // Asked from outside: the image holds no shell that could look from inside.
      .withWaitStrategy(Wait.forHttp('/minio/health/live', 9000)),
  );
  return startedContainer(container, 9000);
}

async function startKmsContainer(): Promise<Started> {
  const container = await containerOf(
    'kms',
    () => Promise.resolve(),
    (image) => image.withExposedPorts(5000).withWaitStrategy(Wait.forHttp('/moto-api/', 5000)),
    { MOTO_VERSION },
  );
  return startedContainer(container, 5000);
}

/** Builds an image from the Dockerfile in `test/support/images/<name>` and what `fill` lays beside it, and starts it. */
async function containerOf(
  name: string,
  fill: (context: string) => Promise<void>,
  configure: (image: GenericContainer) => GenericContainer,
  buildArguments: Record<string, string> = {},
): Promise<StartedTestContainer> {
  process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true'; // Ryuk's image may be out of reach; stop() removes what we start.
  const context = await mkdtemp(join(tmpdir(), `tenant-backup-${name}-`));
  try {
    await cp(join(import.meta.dirname, 'images', name), context, { recursive: true });
    await fill(context);
    const image = await GenericContainer.fromDockerfile(context)
      .withBuildArgs(buildArguments)
      .build(`tenant-backup-test-${name}`, { deleteOnExit: false });
    return await configure(image).start();
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

function startedContainer(container: StartedTestContainer, port: number): Started {
  return {
    how: 'a container',
    endpoint: `http://${container.getHost()}:${container.getMappedPort(port)}`,
    stop: async () => {
      await container.stop();
    },
  };
}

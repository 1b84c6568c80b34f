/**
 * A location's night between two S3 services on this machine: `tenant-backup replicate` into a bucket with Object Lock, and `rclone sync`, of the same
 * objects into an empty prefix and once more. `copy` of the one repository in there, which no target speaks of, is measured beside them.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../src/storage/index.ts';
import { binary } from '../../test/ground/binaries.ts';
import { S3_REGION, generateCredentials, minioCommand, setUpS3 } from '../../test/ground/s3.ts';
import { freePort, startProcess } from '../../test/support/loopback-process.ts';
import { countingProxy } from './counting-proxy.ts';
import { measure, saidBy, type Command, type Measured } from './measure.ts';
import { findOurs, isOnPath } from './peers.ts';
import { Random } from './random.ts';
import { ours, type Run, type Step, type StepName } from './results.ts';
import { describe } from './rounds.ts';
import { benchRepository, tenantObjects } from './tenant-objects.ts';

const nights = 100;
const bucket = 'benchmark';
/** Requests at a time when the source is filled. */
const fillers = 16;
/** Of ours, as the operator's workers have it, and of the peer that is set to the same. */
const concurrency = '32';
const steps = ['replicate', 'replicate again'] as const satisfies StepName[];
const account = generateCredentials();

interface Service {
  readonly endpoint: string;
  readonly stop: () => Promise<void>;
}

/** The two services' addresses, or those of what stands before them. */
interface Endpoints {
  readonly from: string;
  readonly to: string;
}

interface Copier {
  readonly name: string;
  readonly version: Command;
  readonly command: (at: Endpoints, prefix: string) => Command;
}

export interface ReplicateOptions {
  readonly checkout: string;
  readonly workplace: string;
  readonly seed: number;
  readonly scale: number;
  readonly rounds: number;
  readonly say: (line: string) => void;
}

export type Replication = Pick<Run, 'programs' | 'files' | 'bytes' | 'failures'> & { readonly versions: readonly (readonly [string, Command])[] };

export async function runReplication({ checkout, workplace, seed, scale, rounds, say }: ReplicateOptions): Promise<Replication> {
  rmSync(workplace, { recursive: true, force: true });
  const services: Service[] = [];
  try {
    // The first data center's bucket needs no locks; the second one's has them.
    for (const objectLock of [false, true]) services.push(await startService(join(workplace, String(objectLock)), objectLock));
    const [from, to] = services.map(({ endpoint }) => endpoint) as [string, string];
    const filled = await fill(from, Math.ceil(nights * scale), new Random(seed));
    const copiers = findCopiers(checkout);
    const outcome: Pick<Run, 'programs' | 'failures'> = { programs: {}, failures: {} };
    for (let round = 0; round < rounds; round += 1) {
      const order = copiers.map((_, i) => copiers[(i + round) % copiers.length]!);
      await eachStep(outcome, order, say, async (copier, step) => {
        await measure(['sync']);
        const sample = await run(copier, { from, to }, `round-${round}`);
        stepOf(outcome.programs, copier.name, step).samples.push(sample);
        say(describe(`${filled.files} objects`, step, copier.name, sample));
      });
    }
    await countRequests({ from, to }, copiers, outcome, say);
    return { ...outcome, ...filled, versions: copiers.map(({ name, version }) => [name, version] as const) };
  } finally {
    for (const { stop } of services) await stop();
    rmSync(workplace, { recursive: true, force: true });
  }
}

/** Both steps once more for everybody, with something in between that counts. */
async function countRequests(at: Endpoints, copiers: readonly Copier[], outcome: Pick<Run, 'programs' | 'failures'>, say: (line: string) => void): Promise<void> {
  const [from, to] = [await countingProxy(at.from), await countingProxy(at.to)];
  try {
    await eachStep(outcome, copiers, say, async (copier, step) => {
      await run(copier, { from: from.endpoint, to: to.endpoint }, 'counted');
      const requests = from.taken() + to.taken();
      stepOf(outcome.programs, copier.name, step).requests.push(requests);
      say(`${step}, ${copier.name}: ${requests} requests`);
    });
  } finally {
    await Promise.all([from.stop(), to.stop()]);
  }
}

/** A peer that fails is left out from there on, and named; ours must not. */
async function eachStep({ failures }: Pick<Run, 'failures'>, copiers: readonly Copier[], say: (line: string) => void, work: (copier: Copier, step: StepName) => Promise<void>): Promise<void> {
  for (const step of steps) {
    for (const copier of copiers) {
      if (failures[copier.name] !== undefined) continue;
      try {
        await work(copier, step);
      } catch (error) {
        if (copier.name === ours) throw error;
        failures[copier.name] = saidBy(error);
        say(`${copier.name} is left out from here on: ${failures[copier.name]}`);
      }
    }
  }
}

function stepOf(programs: Run['programs'], program: string, step: StepName): Step {
  const known = (programs[program] ??= {});
  return (known[step] ??= { samples: [], bytes: [], requests: [] });
}

function run({ name, command }: Copier, at: Endpoints, round: string): Promise<Measured> {
  return measure(command(at, `${round}/${name.replaceAll(' ', '-')}`), environment(at));
}

function environment({ from, to }: Endpoints): Record<string, string> {
  const remote = (letter: string, endpoint: string) => ({
    [`RCLONE_CONFIG_${letter}_TYPE`]: 's3',
    [`RCLONE_CONFIG_${letter}_PROVIDER`]: 'Minio',
    [`RCLONE_CONFIG_${letter}_ENDPOINT`]: endpoint,
    [`RCLONE_CONFIG_${letter}_REGION`]: S3_REGION,
    [`RCLONE_CONFIG_${letter}_ACCESS_KEY_ID`]: account.accessKeyId,
    [`RCLONE_CONFIG_${letter}_SECRET_ACCESS_KEY`]: account.secretAccessKey,
  });
  // One account for both services: ours takes its credentials where every AWS tool does. Old rclones refuse to start with a bundle of authorities.
  const ambient = { AWS_CA_BUNDLE: '', AWS_ACCESS_KEY_ID: account.accessKeyId, AWS_SECRET_ACCESS_KEY: account.secretAccessKey };
  return { ...ambient, ...remote('A', from), ...remote('B', to), RCLONE_CONFIG: '/dev/null' };
}

function findCopiers(checkout: string): Copier[] {
  const { name, version } = findOurs(checkout);
  const program = version[0]!;
  const url = (endpoint: string, prefix: string) => `s3://${bucket}/${prefix}?endpoint=${endpoint}&region=${S3_REGION}`;
  const locked = ['--lock', 'compliance', '--retain-for', '30d'];
  const rclone = (called: string, ...more: string[]): Copier => ({
    name: called,
    version: ['/bin/sh', '-c', 'rclone version | head -1'],
    command: (_, prefix) => ['rclone', 'sync', '--s3-no-check-bucket', ...more, `A:${bucket}/source`, `B:${bucket}/${prefix}`],
  });
  const found: Copier[] = [
    { name, version, command: ({ from, to }, prefix) => [program, 'replicate', '--from', url(from, 'source'), '--to', url(to, prefix), ...locked, '--concurrency', concurrency] },
    { name: `${name} copy`, version, command: ({ from, to }, prefix) => [program, 'copy', '--from', url(from, `source/${benchRepository}`), '--to', url(to, prefix), ...locked] },
  ];
  // As it comes, and with as many requests at a time as ours.
  if (isOnPath('rclone')) found.push(rclone('rclone'), rclone('rclone tuned', '--transfers', concurrency, '--checkers', concurrency, '--fast-list'));
  return found;
}

async function startService(folder: string, objectLock: boolean): Promise<Service> {
  mkdirSync(folder, { recursive: true });
  const [port, consolePort] = [await freePort(), await freePort()];
  const { args, env } = minioCommand({ address: `127.0.0.1:${port}`, console: `127.0.0.1:${consolePort}`, folder, root: account });
  const stop = startProcess(await binary('minio'), args, env);
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await setUpS3({ endpoint, root: account, bucket, objectLock, users: [] });
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, stop };
}

async function fill(endpoint: string, nightsDue: number, random: Random): Promise<Pick<Run, 'files' | 'bytes'>> {
  const store = await openStore(`s3://${bucket}/source?endpoint=${endpoint}&region=${S3_REGION}`, { s3: { credentials: account } });
  const objects = tenantObjects(nightsDue, random);
  const filled = { files: 0, bytes: 0 };
  const put = async (): Promise<void> => {
    for (const { key, content } of objects) {
      filled.files += 1;
      filled.bytes += content.byteLength;
      await store.put(key, content);
    }
  };
  await Promise.all(Array.from({ length: fillers }, put));
  await store.close();
  return filled;
}

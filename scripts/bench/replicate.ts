/** Ten thousand objects from one S3 service to another on this machine: `copy` of ours against `rclone sync`, into an empty prefix and once more. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../src/storage/index.ts';
import { binary } from '../../test/ground/binaries.ts';
import { S3_REGION, generateCredentials, minioCommand, setUpS3, type Credentials } from '../../test/ground/s3.ts';
import { freePort, startProcess } from '../../test/support/loopback-process.ts';
import { measure, measureAll, saidBy, type Command } from './measure.ts';
import { findOurs, isOnPath } from './peers.ts';
import { Random } from './random.ts';
import { ours, type Run, type StepName } from './results.ts';
import { describe } from './rounds.ts';

const objects = 10_000;
const objectBytes = 16 * 1024;
const bucket = 'benchmark';
/** Requests at a time when the source is filled. */
const fillers = 16;

interface Service {
  readonly endpoint: string;
  readonly root: Credentials;
  readonly stop: () => Promise<void>;
}

interface Copier {
  readonly name: string;
  readonly version: Command;
  readonly command: (prefix: string) => Command;
}

export interface ReplicateOptions {
  readonly checkout: string;
  readonly workplace: string;
  readonly seed: number;
  readonly scale: number;
  readonly rounds: number;
  readonly say: (line: string) => void;
}

export async function runReplication(options: ReplicateOptions): Promise<Pick<Run, 'programs' | 'files' | 'bytes' | 'failures'> & { versions: readonly (readonly [string, Command])[] }> {
  const { workplace, seed, rounds, say } = options;
  const count = Math.ceil(objects * options.scale);
  rmSync(workplace, { recursive: true, force: true });
  const [from, to] = [await startService(join(workplace, 'a')), await startService(join(workplace, 'b'))];
  try {
    const bytes = await fill(from, count, new Random(seed));
    const copiers = findCopiers(options.checkout);
    const programs: Run['programs'] = {};
    const failures: Run['failures'] = {};
    const env = environment(from, to);
    for (let round = 0; round < rounds; round += 1) {
      for (const step of ['replicate', 'replicate again'] satisfies StepName[]) {
        for (const { name, command } of copiers.map((_, i) => copiers[(i + round) % copiers.length]!)) {
          if (failures[name] !== undefined) continue;
          await measure(['sync']);
          try {
            const sample = await measureAll([command(`${name.replaceAll(' ', '-')}-${round}`)], env);
            const steps = (programs[name] ??= {});
            (steps[step] ??= { samples: [], bytes: [] }).samples.push(sample);
            say(describe(`${count} objects`, step, name, sample));
          } catch (error) {
            if (name === ours) throw error;
            failures[name] = saidBy(error);
            say(`${name} is left out from here on: ${failures[name]}`);
          }
        }
      }
    }
    return { programs, files: count, bytes, failures, versions: copiers.map(({ name, version }) => [name, version] as const) };
  } finally {
    await from.stop();
    await to.stop();
    rmSync(workplace, { recursive: true, force: true });
  }

  function environment(source: Service, target: Service): Record<string, string> {
    const remote = (letter: string, { endpoint, root }: Service) => ({
      [`RCLONE_CONFIG_${letter}_TYPE`]: 's3',
      [`RCLONE_CONFIG_${letter}_PROVIDER`]: 'Minio',
      [`RCLONE_CONFIG_${letter}_ENDPOINT`]: endpoint,
      [`RCLONE_CONFIG_${letter}_REGION`]: S3_REGION,
      [`RCLONE_CONFIG_${letter}_ACCESS_KEY_ID`]: root.accessKeyId,
      [`RCLONE_CONFIG_${letter}_SECRET_ACCESS_KEY`]: root.secretAccessKey,
    });
    // One account for both services: ours takes its credentials where every AWS tool does. Old rclones refuse to start with a bundle of authorities.
    const account = { AWS_CA_BUNDLE: '', AWS_ACCESS_KEY_ID: source.root.accessKeyId, AWS_SECRET_ACCESS_KEY: source.root.secretAccessKey };
    return { ...account, ...remote('A', source), ...remote('B', target), RCLONE_CONFIG: '/dev/null' };
  }

  function findCopiers(checkout: string): Copier[] {
    const mine = findOurs(checkout);
    const program = mine.version[0]!;
    const url = ({ endpoint }: Service, prefix: string) => `s3://${bucket}/${prefix}?endpoint=${endpoint}&region=${S3_REGION}`;
    const rclone = (name: string, ...more: string[]): Copier => ({
      name,
      version: ['rclone', 'version'],
      command: (prefix) => ['rclone', 'sync', '--s3-no-check-bucket', ...more, `A:${bucket}/source`, `B:${bucket}/${prefix}`],
    });
    const found: Copier[] = [{ name: mine.name, version: mine.version, command: (prefix) => [program, 'copy', '--from', url(from, 'source'), '--to', url(to, prefix)] }];
    // As it comes, and as people set it who have many small objects.
    if (isOnPath('rclone')) found.push(rclone('rclone'), rclone('rclone tuned', '--transfers', '32', '--checkers', '32', '--fast-list'));
    return found;
  }
}

const account = generateCredentials();

async function startService(folder: string): Promise<Service> {
  mkdirSync(folder, { recursive: true });
  const [port, consolePort] = [await freePort(), await freePort()];
  const { args, env } = minioCommand({ address: `127.0.0.1:${port}`, console: `127.0.0.1:${consolePort}`, folder, root: account });
  const stop = startProcess(await binary('minio'), args, env);
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await setUpS3({ endpoint, root: account, bucket, objectLock: false, users: [] });
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, root: account, stop };
}

/** Objects that are named after their hash, below what looks like a repository; nobody without the key can tell. */
async function fill({ endpoint, root }: Service, count: number, random: Random): Promise<number> {
  const store = await openStore(`s3://${bucket}/source?endpoint=${endpoint}&region=${S3_REGION}`, { s3: { credentials: root } });
  await store.put('config', Buffer.from('config'));
  let left = count;
  let bytes = 0;
  const put = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const content = random.fill(Buffer.alloc(4 * Math.floor((objectBytes / 4) * (0.5 + random.below(1000) / 1000))));
      bytes += content.length;
      const id = createHash('sha256').update(content).digest('hex');
      await store.put(`data/${id.slice(0, 2)}/${id}`, content);
    }
  };
  await Promise.all(Array.from({ length: fillers }, put));
  await store.close();
  return bytes;
}

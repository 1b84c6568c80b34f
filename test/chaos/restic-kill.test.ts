// Backup, forget with prune, prune and copy are killed (SIGKILL) at random moments, a process each. After every kill the repository is sound
// in our eyes and restic lists it; the same work, done again, ends at once, whatever locks the dead left; and the newest snapshot restores as it was.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, initRepository, listSnapshots, openRepository, restore, type Repository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { doWork, type Work } from './restic-work.ts';

/** A few kills each time; `KILLS=200` for the long run, `SEED=N` for the same one again. */
const kills = Number(process.env['KILLS'] ?? 6);
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** restic reads every byte after every so many kills, and at the end. */
const readAllEvery = 10;
const works: readonly Work[] = ['backup', 'forget', 'prune', 'copy'];
const files = 160;
/** Each change of the work that is killed takes so long, ms: what lies between two of them is over in much less, and no kill would fall there. */
const pace = '6';

const scratch = scratchDirectory();
const [source, repositoryPath, copyPath, target] = ['source', 'repository', 'copy', 'target'].map((name) => join(scratch.path, name)) as [string, string, string, string];
const restic = new RealRestic(repositoryPath, scratch.path);
const resticOnCopy = new RealRestic(copyPath, scratch.path);
const random = seededRandom(seed);

interface Tally {
  /** How often the process was dead before its work had ended. */
  killed: number;
  /** Of these: how often a lock was left behind. */
  locked: number;
  /** How often the work had ended before. */
  tooLate: number;
  /** The longest that the work took undisturbed, ms. */
  longest: number;
}

const tallies: Record<Work, Tally> = { backup: fresh(), forget: fresh(), prune: fresh(), copy: fresh() };

function fresh(): Tally {
  return { killed: 0, locked: 0, tooLate: 0, longest: 0 };
}

beforeAll(async () => {
  process.env['PASSWORD'] = testPassword;
  mkdirSync(source);
  for (let number = 0; number < files; number++) writeFile(number);
  await (await initRepository({ store: new FileStore(repositoryPath), password: Buffer.from(testPassword) })).close();
  for (let i = 0; i < 3; i++) await backUpChanged();
});

afterAll(() => scratch.remove());

function writeFile(number: number): void {
  const directory = join(source, `d${String(number % 8)}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `f${String(number)}`), random.bytes(number % 16 === 0 ? 1_500_000 : 3_000));
}

/** A third of the files get new content, so that packs come to hold waste. */
function change(): void {
  for (let number = 0; number < files; number++) if (random.below(3) === 0) writeFile(number);
}

async function backUpChanged(): Promise<void> {
  change();
  await doWork('backup', repositoryPath, [source]);
}

async function withRepository<T>(path: string, action: (repository: Repository) => Promise<T>): Promise<T> {
  const repository = await openRepository({ store: new FileStore(path), password: Buffer.from(testPassword), readOnly: true });
  return action(repository).finally(() => repository.close());
}

function snapshotsIn(path: string): Promise<string[]> {
  return withRepository(path, async (repository) => (await listSnapshots(repository)).map(({ id }) => id));
}

/** Kills the work at a random moment between its first step and a little after its last. @returns whether it was still at work */
function killDuring(work: Work, args: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'restic-work.ts'), work, repositoryPath, ...args], { env: { ...process.env, PACE: pace }, stdio: ['ignore', 'pipe', 'inherit'] });
  let timer: NodeJS.Timeout | undefined;
  child.stdout.once('data', () => (timer = setTimeout(() => child.kill('SIGKILL'), random.next() * tallies[work].longest * 1.2)));
  return new Promise((resolve, reject) => {
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGKILL' || code === 0) resolve(signal === 'SIGKILL');
      else reject(new Error(`${work} ended by itself with ${String(code)}`));
    });
  });
}

/** An undisturbed run in a process of its own tells how long to spread the kills over. */
async function measure(work: Work, args: readonly string[]): Promise<void> {
  tallies[work].longest = Infinity;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'restic-work.ts'), work, repositoryPath, ...args], { env: { ...process.env, PACE: pace }, stdio: ['ignore', 'pipe', 'inherit'] });
  let started = performance.now();
  child.stdout.once('data', () => (started = performance.now()));
  await new Promise((resolve) => child.on('exit', resolve));
  tallies[work].longest = performance.now() - started;
}

async function prepare(work: Work): Promise<readonly string[]> {
  if (work === 'backup') {
    change();
    return [source];
  }
  if (work === 'copy') {
    if (random.below(2) === 0) rmSync(copyPath, { recursive: true, force: true });
    return [copyPath];
  }
  await backUpChanged();
  const doomed = (await snapshotsIn(repositoryPath)).slice(0, -2);
  if (work === 'forget') return doomed;
  for (const id of doomed) rmSync(join(repositoryPath, 'snapshots', id));
  return [];
}

async function expectSound(path: string): Promise<void> {
  const { problems } = await withRepository(path, (repository) => check(repository, {}));
  expect(problems).toEqual([]);
}

/** What the killed work touched; a copy that came to nothing yet is no repository. */
function placeOf(work: Work): { readonly path: string; readonly real: RealRestic } | undefined {
  if (work !== 'copy') return { path: repositoryPath, real: restic };
  return existsSync(join(copyPath, 'config')) ? { path: copyPath, real: resticOnCopy } : undefined;
}

async function expectRestored(path: string): Promise<void> {
  rmSync(target, { recursive: true, force: true });
  await withRepository(path, (repository) => restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target }));
  expect(compareTrees(source, target)).toEqual([]);
}

/** A lock that was killed while it was being written never got its name: it locks nobody, and a later prune removes its file. */
function locksLeft(): string[] {
  return readdirSync(join(repositoryPath, 'locks')).filter((name) => !name.startsWith('.tmp-'));
}

async function killOnce(work: Work, number: number): Promise<void> {
  const args = await prepare(work);
  const tally = tallies[work];
  if (await killDuring(work, args)) tally.killed++;
  else tally.tooLate++;
  if (locksLeft().length > 0) tally.locked++;

  const place = placeOf(work);
  if (place !== undefined) {
    await expectSound(place.path);
    await place.real.run(['--no-lock', '--no-cache', 'snapshots', '--json']);
    if (number % readAllEvery === 0) expect(await place.real.run(['--no-lock', '--no-cache', 'check', '--read-data'])).toContain('no errors were found');
  }
  // A forget that was killed may have removed some already.
  const left = work === 'forget' ? (await snapshotsIn(repositoryPath)).filter((id) => args.includes(id)) : args;
  await doWork(work, repositoryPath, left);
  expect(locksLeft()).toEqual([]);
  if (work === 'backup' || work === 'copy' || number % 3 === 0) await expectRestored(work === 'copy' ? copyPath : repositoryPath);
}

/** Only those that came before the work had ended. */
function killsSoFar(): number {
  return Object.values(tallies).reduce((sum, { killed }) => sum + killed, 0);
}

describe('work that is killed at any moment', () => {
  it('leaves a repository that is sound, and the next run finishes', async () => {
    for (const work of works) await measure(work, await prepare(work));
    await backUpChanged();
    for (let number = 1; killsSoFar() < kills && number <= kills * 2; number++) {
      const work = works[number % works.length] ?? 'backup';
      try {
        await killOnce(work, number);
      } catch (error) {
        throw new Error(`after kill ${String(number)}, of ${work}, SEED=${String(seed)}`, { cause: error });
      }
    }
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
    await doWork('copy', repositoryPath, [copyPath]);
    expect(await resticOnCopy.run(['check', '--read-data'])).toContain('no errors were found');
    process.stdout.write(`killed at random moments, SEED=${String(seed)}: ${JSON.stringify(tallies)}\n`);
    expect(killsSoFar()).toBe(kills);
  }, 60_000 + kills * 30_000);
});

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { runHere } from '../support/program-here.ts';
import { runProcess, type ProgramRun } from '../support/program.ts';

/** From the signal to the end of the process, on a machine that has other work. */
const QUICK_MS = 5_000;
const FILES = 12;
const FILE_BYTES = 12_000_000;

describe('a signal', () => {
  let folder: string;
  const started: ChildProcess[] = [];
  const expand = (line: string): string[] => line.split(' ').map((word) => word.replaceAll('@', folder));
  const here = async (line: string): Promise<ProgramRun> => {
    const ended = await runHere(expand(line));
    expect(ended).toMatchObject({ status: 0 });
    return ended;
  };
  const filesIn = async (place: string): Promise<string[]> =>
    (await readdir(join(folder, place), { recursive: true, withFileTypes: true }).catch(() => [])).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));

  /** Sends it as soon as the program has begun its work, which is when something lies in `begun`. */
  async function interrupt(line: string, signal: NodeJS.Signals, begun: () => Promise<boolean>): Promise<ProgramRun & { readonly ms: number }> {
    let sentAt = NaN;
    const ended = await runProcess(expand(line), {
      onStart: (child) => void (async () => {
        while (child.exitCode === null && !(await begun())) await delay(2);
        sentAt = performance.now();
        child.kill(signal);
      })(),
    });
    return { ...ended, ms: performance.now() - sentAt };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-signals-'));
    await mkdir(join(folder, 'source'));
    for (let n = 0; n < FILES; n += 1) await writeFile(join(folder, 'source', `file-${n}`), randomFillSync(Buffer.alloc(FILE_BYTES)));
    await writeFile(join(folder, 'key'), 'a password');
    await here('init --repository file://@/repo --secret-key-file @/key');
    await here('backup --repository file://@/repo --secret-key-file @/key --source @/source');
    await here('export --repository file://@/repo --snapshot latest --output @/whole.tar');
    // Packs that are half needed, so that a prune has something to write anew.
    await cp(join(folder, 'repo'), join(folder, 'waste'), { recursive: true });
    await here('backup --repository file://@/waste --secret-key-file @/key --source @/source --exclude *[02468] --host half');
    const { stdout } = await here('snapshots --repository file://@/waste --secret-key-file @/key --json');
    const [first = ''] = stdout.split('\n').map((text) => /"id":"([0-9a-f]{64})"/.exec(text)?.[1] ?? '');
    await here(`forget --repository file://@/waste --secret-key-file @/key ${first}`);
  });
  afterAll(async () => {
    for (const child of started) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const place of ['out', 'new', 'pruned', 'fresh']) await rm(join(folder, place), { recursive: true, force: true });
  });

  const hasFile = (place: string, but?: string) => async () => (await filesIn(place)).some((path) => but === undefined || !path.includes(but));
  const isLocked = (repository: string) => hasFile(`${repository}/locks`);

  const cases: readonly {
    readonly command: string;
    readonly before?: () => Promise<unknown>;
    readonly line: string;
    readonly begun: () => Promise<boolean>;
    /** No half output, and the next run is whole. */
    readonly after: () => Promise<void>;
  }[] = [
    {
      command: 'backup',
      before: () => here('init --repository file://@/fresh --secret-key-file @/key'),
      line: 'backup --repository file://@/fresh --secret-key-file @/key --source @/source',
      begun: () => isLocked('fresh')(),
      after: async () => {
        expect(await filesIn('fresh/snapshots')).toEqual([]);
        expect(await filesIn('fresh/locks')).toEqual([]);
        await here('check --repository file://@/fresh --secret-key-file @/key --read-data');
      },
    },
    {
      command: 'restore',
      line: 'restore --repository file://@/repo --secret-key-file @/key --snapshot latest --subtree @/source --target @/out',
      begun: () => hasFile('out')(),
      after: async () => {
        for (const path of await filesIn('out')) expect((await readFile(path)).equals(await readFile(join(folder, 'source', basename(path))))).toBe(true);
      },
    },
    {
      command: 'check',
      line: 'check --repository file://@/repo --secret-key-file @/key --read-data',
      begun: () => isLocked('repo')(),
      after: async () => expect(await filesIn('repo/locks')).toEqual([]),
    },
    {
      command: 'prune',
      before: () => cp(join(folder, 'waste'), join(folder, 'pruned'), { recursive: true }),
      line: 'prune --repository file://@/pruned --secret-key-file @/key --now',
      begun: () => isLocked('pruned')(),
      after: async () => {
        expect(await filesIn('pruned/locks')).toEqual([]);
        await here('check --repository file://@/pruned --secret-key-file @/key --read-data');
      },
    },
    {
      command: 'copy',
      line: 'copy --from file://@/repo --to file://@/new',
      begun: () => hasFile('new/data')(),
      after: async () => {
        for (const path of await filesIn('new/data')) expect(createHash('sha256').update(await readFile(path)).digest('hex')).toBe(basename(path));
        await here('copy --from file://@/repo --to file://@/new');
        await here('check --repository file://@/new --secret-key-file @/key');
      },
    },
    {
      command: 'export',
      line: 'export --repository file://@/repo --snapshot latest --output @/out/backup.tar',
      before: () => mkdir(join(folder, 'out')),
      begun: () => hasFile('out')(),
      after: async () => expect(await readdir(join(folder, 'out'))).toEqual([]),
    },
    {
      command: 'import',
      line: 'import --input @/whole.tar --repository file://@/new',
      begun: () => hasFile('new/data')(),
      after: async () => expect(await readdir(folder)).not.toContain('new'),
    },
  ];

  it.each(cases.flatMap((each) => [{ ...each, signal: 'SIGINT' as const, status: 130 }, { ...each, signal: 'SIGTERM' as const, status: 143 }]))(
    '$signal ends $command with $status at once, and leaves nothing half done',
    async ({ before, line, signal, status, begun, after }) => {
      await before?.();

      const ended = await interrupt(line, signal, begun);

      expect(ended).toMatchObject({ status, stdout: '', stderr: expect.stringContaining(`stopped by ${signal}`) });
      expect(ended.ms).toBeLessThan(QUICK_MS);
      await after();
    },
  );

  describe('while the key is awaited', () => {
    let pipe: string;
    beforeAll(() => {
      pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
    });

    it.each(['SIGINT', 'SIGTERM'] as const)('%s ends the waiting', async (signal) => {
      const started = performance.now();
      const ended = await interrupt('snapshots --repository file://@/repo --secret-key-file @/pipe', signal, () => delay(1500, true));
      expect(ended.status).toBe(signal === 'SIGINT' ? 130 : 143);
      expect(performance.now() - started).toBeLessThan(1500 + QUICK_MS);
    });

    it('does not come: it is read from whatever writes it late', () => {
      const slowly = `(sleep 3; printf 'a pass'; sleep 0.5; echo word)`;
      const program = `${process.execPath} --disable-warning=ExperimentalWarning ${join(import.meta.dirname, '../../src/cmd/main.ts')} snapshots --repository file://${folder}/repo --secret-key-file`;
      for (const script of [`${slowly} | ${program} -`, `${program} <(${slowly})`, `${slowly} > ${pipe} & ${program} ${pipe}`]) {
        expect(execFileSync('bash', ['-c', script], { encoding: 'utf8' })).toContain(join(folder, 'source'));
      }
    });
  });

  it.each(['', ' --json'])('ends a listing whose reader has stopped reading%s', async (json) => {
    await mkdir(join(folder, 'many'), { recursive: true });
    // Much more than a pipe and its reader's buffer take.
    await Promise.all(Array.from({ length: 1500 }, (_, n) => writeFile(join(folder, 'many', `${'x'.repeat(200)}-${n}`), '')));
    await here('backup --repository file://@/repo --secret-key-file @/key --source @/many --host many');
    const program = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../../src/cmd/main.ts')];
    const child = spawn(process.execPath, [...program, ...expand(`ls --repository file://@/repo --secret-key-file @/key --snapshot latest${json}`)], { stdio: ['ignore', 'pipe', 'ignore'] });
    started.push(child);
    const ended = once(child, 'exit');
    await once(child.stdout, 'readable');
    await delay(1_000);
    child.kill('SIGTERM');
    expect(await Promise.race([ended, delay(QUICK_MS, 'still there')])).toEqual([143, null]);
    expect(await filesIn('repo/locks')).toEqual([]);
  });

  it('that comes a second time ends what hangs in the system at once', async () => {
    const pipe = join(folder, 'nobody-writes');
    execFileSync('mkfifo', [pipe]);
    // Opening it holds a thread, as a dead network share does.
    const program = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../../src/cmd/main.ts')];
    const child = spawn(process.execPath, [...program, ...expand(`snapshots --repository file://@/repo --secret-key-file @/key --ca-file ${pipe}`)], { stdio: 'ignore' });
    started.push(child);
    const ended = once(child, 'exit');
    await delay(2_000);
    child.kill('SIGINT');
    await delay(500);
    expect(child.exitCode).toBeNull();
    // Two within a second count as one, and a busy machine may deliver them late.
    await delay(2_500);
    child.kill('SIGINT');
    expect(await Promise.race([ended, delay(3_000, 'still there')])).toEqual([null, 'SIGINT']);
  });
});

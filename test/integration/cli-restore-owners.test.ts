import { execFile } from 'node:child_process';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jsonLines, runProcess } from '../support/program.ts';

const MAIN = join(import.meta.dirname, '../../src/cmd/main.ts');
const asRoot = process.getuid?.() === 0 ? it : it.skip;

describe('restore by somebody who may not give files away', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-owners-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  asRoot('ends 0 with a warning for each owner, for the content is all there', async () => {
    const [source, target, key] = [join(folder, 'source'), join(folder, 'target'), join(folder, 'key')];
    const repository = ['--repository', `file://${join(folder, 'repository')}`, '--secret-key-file', key, '--json'];
    await mkdir(source);
    await writeFile(join(source, 'file'), 'content');
    await chown(join(source, 'file'), 1234, 4321);
    await writeFile(key, 'a password');
    expect(await runProcess(['init', ...repository])).toMatchObject({ status: 0 });
    expect(await runProcess(['backup', '--source', source, ...repository])).toMatchObject({ status: 0 });

    // Rejects for any other status than 0.
    const { stdout } = await promisify(execFile)('setpriv', [
      ...['--bounding-set=-chown', '--inh-caps=-chown', process.execPath, '--disable-warning=ExperimentalWarning', MAIN],
      ...['restore', '--snapshot', 'latest', '--subtree', source, '--target', target, ...repository],
    ]);

    const lines = jsonLines(stdout);
    expect(lines).toContainEqual(expect.objectContaining({ type: 'warning', path: join(source, 'file'), message: expect.stringContaining('owner 1234:4321 (EPERM)') }));
    expect(lines).toContainEqual(expect.objectContaining({ type: 'summary', command: 'restore', complete: true, warningCount: 1 }));
    expect(await readFile(join(target, 'file'), 'utf8')).toBe('content');
  });
});

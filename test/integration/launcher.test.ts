// The program as people start it: `dist/tenant-backup`, which `make build` makes.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

const program = join(import.meta.dirname, '..', '..', 'dist', 'tenant-backup');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenant-backup-launcher-'));
});
afterAll(() => rm(folder, { recursive: true }));

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function start(command: string, env: Readonly<Record<string, string>> = {}, args: readonly string[] = ['--version']): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, { env: { PATH: process.env['PATH'], ...env } }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('the launcher', () => {
  it('starts the program through links, as a kubectl plugin is installed', async () => {
    await symlink(program, join(folder, 'kubectl-tenant_backup'));

    const { status, stdout } = await start(join(folder, 'kubectl-tenant_backup'));

    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it.each([['--version'], ['operator']])('says to `%s` in one line that Node is too old, before it loads or asks for anything that needs a newer one', async (command) => {
    const old = join(folder, 'old-node');
    const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.20.2'})`;
    const refuse = `case "$*" in *--max-old-space-size-percentage*) echo "$0: bad option" >&2; exit 9 ;; esac`;
    await writeFile(old, `#!/bin/sh\n${refuse}\nexec '${process.execPath}' --import "${pretend}" "$@"\n`, { mode: 0o755 });

    const { status, stdout, stderr } = await start(program, { TENANT_BACKUP_NODE: old }, [command]);

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^tenant-backup: Node 20\.20\.2 is too old; Node \d+ or newer is needed: [^\n]+\n$/);
  });
});

describe('the bundle', () => {
  it('holds nothing of the Kubernetes client that is not used: its models alone are 5 MB, and 15 MB of memory', async () => {
    const folder = dirname(program);
    const sizes = (await readdir(folder)).filter((name) => name.endsWith('.mjs')).map(async (name) => (await stat(join(folder, name))).size);
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);

    expect(total).toBeGreaterThan(1_000_000);
    expect(total).toBeLessThan(5_000_000);
  });

  it('loads for a backup neither the schemas of the cluster\'s resources nor a search for machine code: those took a seventh of a small one', async () => {
    const list = `import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
      process.on('exit', () => console.log(JSON.stringify(loaded)));`;
    const key = join(folder, 'secret.key');
    await writeFile(key, 'some password');
    const args = ['backup', '--repository', `file://${join(folder, 'none')}`, '--secret-key-file', key, '--source', folder];

    const { stdout, stderr } = await start(program, { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(list)}` }, args);

    expect(stderr).toMatch(/There is no repository/);
    const loaded = z.array(z.string()).parse(JSON.parse(stdout));
    const texts = await Promise.all(loaded.filter((url) => url.startsWith('file:')).map(async (url) => readFile(fileURLToPath(url), 'latin1')));
    expect(loaded.filter((url) => /sodium-native\/binding|require-addon/.test(url)).map((url) => basename(url))).toEqual(['binding.js']);
    expect(texts.filter((text) => text.includes('copyMethod'))).toEqual([]);
  });
});

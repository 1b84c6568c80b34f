// The README's commands, run as it shows them, and what a person sees afterwards.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { binary } from '../ground/binaries.ts';
import { apply, environment, getObject, kubectl, listObjects, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { backupObject } from '../support/customer.ts';
import { NAMESPACE } from './demo/resources.ts';

const ROOT = join(import.meta.dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const DEMO_MS = 6 * 60_000;

/** The lines of the README's shell blocks. */
function commands(): string[] {
  return [...README.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n')).filter((line) => line !== '');
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a line of the README in a shell, kubectl and helm being those of the ground. */
async function shell(line: string): Promise<Ended> {
  const env = environment();
  const path = [dirname(env['KUBECTL'] ?? ''), dirname(await binary('helm')), process.env['PATH']].join(':');
  const child = spawn('bash', ['-c', line], { cwd: ROOT, env: { ...process.env, PATH: path, KUBECONFIG: env['KUBECONFIG'] }, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { status, output: Buffer.concat(chunks).toString('utf8') };
}

describe('the README', () => {
  it('shows these commands and no others', () => {
    expect(commands()).toEqual([
      'make demo',
      'make test',
      'helm upgrade --install tenant-backup charts/tenant-backup --namespace tenant-backup-system --create-namespace',
      'kubectl apply -f config/samples/',
      'kubectl get bl,bt,bp,bk,brs -A',
    ]);
  });

  it('names files that exist', () => {
    const links = [...README.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = '']) => path);
    for (const path of links) expect({ path, there: existsIn(path) }).toEqual({ path, there: true });
  });

  it('has its test command run by CI', () => {
    expect(readFileSync(join(ROOT, '.ci/run'), 'utf8')).toMatch(/^step make test\b/m);
  });

  it('installs the chart', async () => {
    // It is installed already, with an image that is on the node; the server says whether it would be.
    const { status, output } = await shell(`${commands()[2] ?? ''} --dry-run=server`);
    expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
  });

  it('applies the samples', async () => {
    try {
      const { status, output } = await shell(commands()[3] ?? '');
      expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
    } finally {
      await shell('kubectl delete -f config/samples/ --ignore-not-found --timeout=60s');
    }
  });
});

function existsIn(path: string): boolean {
  try {
    readFileSync(join(ROOT, path));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EISDIR';
  }
}

describe('make demo', () => {
  let demo: Ended;
  beforeAll(async () => {
    demo = await shell('make demo');
  }, DEMO_MS);

  it('ends with exit 0 and a report of every step', () => {
    expect({ status: demo.status, output: demo.status === 0 ? '' : demo.output }).toEqual({ status: 0, output: '' });
    for (const step of ['✓ cluster', 'tenant ', '✓ backup 7 of 7', '✓ the eighth is refused', '7 of 7 backups are kept', '✓ damage done', '✓ restore of backup-7', '✓ compared', "✓ Debian's restic", 'no errors were found']) {
      expect(demo.output).toContain(step);
    }
  });

  it('leaves what reads like a status page', async () => {
    const { output } = await shell(commands()[4] ?? '');
    expect(statusPage(output)).toBe(readFileSync(join(import.meta.dirname, 'golden/status-page.txt'), 'utf8'));
  });

  it('leaves no empty cell in the row of a stored backup', async () => {
    const stored = (await listObjects<StatusLike>('bk', NAMESPACE)).filter(({ status }) => status?.phase === 'Stored');
    expect(stored).toHaveLength(8);
    const table = (await kubectl(['get', 'bk', '-n', NAMESPACE, '-o', 'wide'])).split('\n');
    const header = table[0] ?? '';
    const starts = columnStarts(header);
    // A mover that is done before it says how far it is leaves no percentage, and here is no second data center.
    const mayBeEmpty = ['PERCENT', 'REPLICATED'].map((column) => starts.indexOf(header.indexOf(column)));
    expect(mayBeEmpty).not.toContain(-1);
    for (const { metadata } of stored) {
      const row = table.find((line) => line.startsWith(`${metadata.name} `)) ?? '';
      const cells = starts.map((start, i) => row.slice(start, starts[i + 1]).trim());
      expect({ name: metadata.name, empty: cells.filter((cell, i) => cell === '' && !mayBeEmpty.includes(i)).length }).toEqual({ name: metadata.name, empty: 0 });
    }
  });

  it('lets kubectl describe name the cause of a backup that fails', async () => {
    await apply([backupObject(NAMESPACE, 'of-no-policy', 'weekly')]);
    await waitForCondition('bk', 'of-no-policy', NAMESPACE, { type: 'Stored', status: 'False', reason: 'PolicyMissing' }, 10);
    const described = await kubectl(['describe', 'bk', 'of-no-policy', '-n', NAMESPACE]);
    expect(described).toMatch(/Message: +BackupPolicy weekly does not exist in this namespace\./);
    expect(described).toMatch(/Reason: +PolicyMissing/);
    await waitForPhase('bk', 'of-no-policy', NAMESPACE, ['Pending']);
    await kubectl(['delete', 'bk', 'of-no-policy', '-n', NAMESPACE]);
    expect(await getObject('bk', 'of-no-policy', NAMESPACE)).toBeUndefined();
  });
});

function columnStarts(header: string): number[] {
  return [...header.matchAll(/(?<=^|\s{3})\S/g)].map(({ index }) => index);
}

/** The demo's rows alone, with what differs from run to run named instead of shown, and single spaces between columns. */
function statusPage(output: string): string {
  const lines = output.split('\n').filter((line) => line.startsWith('NAME') || line === '' || /\bdemo\b|customer-demo/.test(line));
  const page = lines
    .filter((line) => !line.includes('NamespaceGone'))
    .map((line) =>
      line
        .replace(/customer-demo-[0-9a-f]{8}\b/g, 'customer-demo-UID')
        .replace(/restore-1-[0-9a-f]{6}-safety/g, 'restore-1-UID-safety')
        .replace(/\b(\d+[dhms])+\b/g, 'TIME')
        .replace(/\b[\d.]+ [KMG]iB\b/g, 'SIZE')
        .replace(/(tenant-backup-a +)\d+( +)\d+/, '$1N$2N')
        .replace(/(-safety +)\d+/, '$1FILES')
        .replace(/ {2,}/g, '  ')
        .trimEnd(),
    );
  return `${page.join('\n').trim()}\n`;
}

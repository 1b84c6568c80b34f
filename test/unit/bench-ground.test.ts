import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { change } from '../../scripts/bench/change.ts';
import { findVersion, NoMemoryLimit } from '../../scripts/bench/cgroup.ts';
import { makeData, type DataName } from '../../scripts/bench/data.ts';
import { measure } from '../../scripts/bench/measure.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bench-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Content, length and time of modification of all files. */
function fingerprint(directory: string): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }).sort((a, b) => join(a.parentPath, a.name).localeCompare(join(b.parentPath, b.name)))) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    hash.update(`${path.slice(directory.length)} ${lstatSync(path).mtimeMs.toFixed(0)}\n`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

function contentOf(directory: string): string {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const hashes = files.map((entry) => `${entry.name} ${createHash('sha256').update(readFileSync(join(entry.parentPath, entry.name))).digest('hex')}`);
  return hashes.sort().join('\n');
}

const scales: Readonly<Record<DataName, number>> = { small: 0.003, big: 0.004, mixed: 0.004, tiny: 0.02, million: 0.0002, sparse: 2 ** -13 };

describe('the data of a benchmark', () => {
  it.each(Object.entries(scales) as [DataName, number][])('%s is the same for a seed, another for another', (name, scale) => {
    const one = contentOf(makeData(join(root, 'a'), name, 1, scale));
    expect(contentOf(makeData(join(root, 'b'), name, 1, scale))).toBe(one);
    expect(contentOf(makeData(join(root, 'c'), name, 2, scale))).not.toBe(one);
  });

  it.each(Object.entries(scales) as [DataName, number][])('%s is after a change what it was before, content and times', (name, scale) => {
    const directory = makeData(root, name, 1, scale);
    const before = fingerprint(directory);
    const undo = change(name, directory, 0, scale);
    const changed = contentOf(directory);
    expect(fingerprint(directory)).not.toBe(before);
    undo();
    expect(fingerprint(directory)).toBe(before);
    const undoOther = change(name, directory, 1, scale);
    expect(contentOf(directory)).not.toBe(changed);
    undoOther();
    const undoSame = change(name, directory, 0, scale);
    expect(contentOf(directory)).toBe(changed);
    undoSame();
  });

  it('is made anew after a run that died with it changed', () => {
    const directory = makeData(root, 'tiny', 1, 0.01);
    const before = contentOf(directory);
    change('tiny', directory, 0, 0.01);
    expect(contentOf(makeData(root, 'tiny', 1, 0.01))).toBe(before);
    expect(existsSync(`${directory}.whole`)).toBe(true);
  });
});

describe('the control group of a limit', () => {
  const first = 'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n';
  const second = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n';

  it('is below the own group in version 1, also beside an empty version 2', () => {
    const found = findVersion(first, '9:cpu:/\n4:memory:/user/me\n0::/\n', () => true);
    expect(found).toMatchObject({ directory: '/sys/fs/cgroup/memory/user/me', limit: 'memory.limit_in_bytes', handsDown: false });
    expect(findVersion(first, '4:memory:/not/seen/here\n', () => false).directory).toBe('/sys/fs/cgroup/memory');
  });

  it('is beside the own group in version 2, for a group with processes has no children with controllers', () => {
    expect(findVersion(second, '0::/user.slice/me.scope\n', () => true)).toMatchObject({ directory: '/sys/fs/cgroup/user.slice', limit: 'memory.max', handsDown: true });
    expect(findVersion(second, '0::/\n', () => true).directory).toBe('/sys/fs/cgroup');
  });

  it('is refused in words where there is none', () => {
    expect(() => findVersion('proc /proc proc rw 0 0\n', '', () => true)).toThrow(NoMemoryLimit);
    expect(() => findVersion('proc /proc proc rw 0 0\n', '', () => true)).toThrow(/run this on a Linux host as root/);
  });
});

describe('measuring a command', () => {
  it('counts what its children used, and hands out what it wrote', async () => {
    const burn = 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done';
    const { output, cpuSeconds, seconds } = await measure(['/bin/sh', '-c', `sh -c '${burn}'; echo done`]);
    expect(output).toBe('done\n');
    expect(cpuSeconds).toBeGreaterThan(0.01);
    expect(seconds).toBeGreaterThan(0.01);
  });

  it('says what a failing command said', async () => {
    await expect(measure(['/bin/sh', '-c', 'echo trouble >&2; exit 3'])).rejects.toThrow(/ended with 3:\ntrouble/);
  });
});

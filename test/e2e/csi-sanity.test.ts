// The driver of the ground does what the CSI specification says, by the project's own judge, csi-sanity. Both run in a mount
// namespace of their own, so that nothing stays mounted however they end.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { csiParts, type CsiParts } from '../ground/csi/parts.ts';
import { ProgramFailed, run } from '../ground/run.ts';

const directory = mkdtempSync(join(tmpdir(), 'tenant-backup-csi-'));
const driver = join(import.meta.dirname, '..', 'ground', 'csi', 'driver', 'main.ts');

/** Whoever is not root gets namespaces in which it may mount. */
const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
let parts: CsiParts;

beforeAll(async () => {
  parts = await csiParts(); // Built with the ground; an existing cluster needed none of it until now.
}, 900_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('csi-sanity', () => {
  it('finds nothing wrong with the driver', async () => {
    const { sanity, protocols } = parts;
    const place = (name: string): string => join(directory, name);
    // The driver ends with the shell, which is process 1 of its namespace.
    const script = `
      '${process.execPath}' '${driver}' --name=csi.sanity.test --node=here --socket='${place('csi.sock')}' --directory='${place('data')}' --protocols='${protocols}' 2>'${place('log')}' &
      for i in $(seq 100); do [ -S '${place('csi.sock')}' ] && break; sleep 0.1; done
      '${sanity}' --ginkgo.no-color --csi.endpoint='${place('csi.sock')}' --csi.mountdir='${place('mount')}' --csi.stagingdir='${place('staging')}'`;
    const outcome = await run('unshare', [...asRoot, '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-uc', script]).catch((error: unknown) => {
      if (error instanceof ProgramFailed) return error.message;
      throw error;
    });
    expect(outcome).toMatch(/Ran \d+ of \d+ Specs/);
    expect(outcome).toMatch(/\| 0 Failed/);
    expect(Number(/(\d+) Passed/.exec(outcome)?.[1])).toBeGreaterThan(50);
  }, 120_000);
});

import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

it('make demo-disaster: the first data center is attacked and lost, and every customer is back from the second', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['test/e2e/demo-disaster.ts']);
  const [, refused, versions] = /(\d+) of (\d+) deletions refused/.exec(stdout) ?? [];
  expect(Number(versions)).toBeGreaterThanOrEqual(30);
  expect(refused).toBe(versions);
  expect(stdout.match(/is restored, and every byte compared/g)).toHaveLength(3);
  expect(stdout).toMatch(/Every customer is back from the second data center alone, after \d+ s\.\n$/);
}, 300_000);

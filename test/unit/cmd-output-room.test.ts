/** A reader that is slower than what is printed: it must not all be kept in memory. */
import { describe, expect, it } from '@jest/globals';
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { outputFor } from '../../src/cmd/output.ts';

describe.each([false, true])('printing (json: %s) to a reader that has stopped', (json) => {
  it('waits, goes on with him, and ends with a signal', async () => {
    const taken: (() => void)[] = [];
    const stdout = new Writable({ highWaterMark: 1000, write: (_chunk, _encoding, done) => void taken.push(done) });
    const output = outputFor({ json }, { stdout, stderr: { write: () => true }, now: () => 0 });
    const stop = new AbortController();
    let printed = 0;
    const printing = (async () => {
      for (; printed < 1000; printed += 1) {
        output.print({ type: 'entry', path: 'x'.repeat(100) }, 'x'.repeat(100));
        await output.room(stop.signal);
      }
    })();
    printing.catch(() => undefined);
    for (let n = 0; n < 50; n += 1) await turn();
    expect(printed).toBeLessThan(20);
    const before = printed;
    for (let n = 0; n < 50; n += 1) {
      taken.shift()?.();
      await turn();
    }
    expect(printed).toBeGreaterThan(before);
    expect(stdout.writableLength).toBeLessThan(3000);
    while (!stdout.writableNeedDrain) await turn();
    stop.abort();
    await expect(printing).rejects.toMatchObject({ name: 'AbortError' });
  });
});

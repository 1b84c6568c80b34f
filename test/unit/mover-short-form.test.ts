import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MoverResult } from '../../src/api/index.ts';
import { shortForm } from '../../src/mover/short-form.ts';

const result: MoverResult = {
  version: 1,
  task: 'backup',
  attempt: 'tbmover-1234-1',
  uid: '0a4c7bb6-31fd-4e3f-8a5c-2f7f0e1c9f11',
  outcome: 'failed',
  startedAt: '2026-01-02T03:04:05.000Z',
  finishedAt: '2026-01-02T03:04:06.000Z',
  warnings: [],
  warningCount: 0,
};

describe('the short form of a result', () => {
  it('is the result itself where that is short', () => {
    expect(JSON.parse(shortForm(result))).toEqual(result);
  });

  it('keeps five warnings and both ends of each', () => {
    const warnings = Array.from({ length: 100 }, (_, n) => `/volumes/data/${'deep/'.repeat(100)}file-${n}: permission denied`);

    const short = MoverResult.parse(JSON.parse(shortForm({ ...result, warnings, warningCount: 100 })));

    expect(short.warningCount).toBe(100);
    expect(short.warnings).toHaveLength(5);
    expect(short.warnings[3]).toMatch(/^\/volumes\/data\/.*….*file-3: permission denied$/);
  });

  it('names all that is damaged, or none and where all of it is', () => {
    const affected = (count: number) => Array.from({ length: count }, (_, n) => ({ snapshotId: String(n).padStart(64, '0'), files: 1, paths: ['/volumes/data/file'] }));
    const verified = (count: number): MoverResult => ({
      ...result,
      task: 'verify',
      outcome: 'succeeded',
      verify: { snapshots: 9, packsChecked: 9, packsRead: 9, bytesRead: 9, filesCompared: 9, bytesCompared: 9, filesTooLarge: 0, problems: 9, damagedPacks: ['ab'.repeat(32)], affected: affected(count) },
    });
    expect(JSON.parse(shortForm(verified(2), true))).toEqual(verified(2));
    expect(shortForm(verified(3), true)).toMatch(/^[^{]*bucket/);
    // Where it could not be left there, a part is better than nothing.
    expect(MoverResult.parse(JSON.parse(shortForm(verified(3), false))).verify?.affected).toHaveLength(2);
  });

  it('never exceeds two KiB and stays a result, whatever it is made of', () => {
    const text = fc.string({ unit: 'binary', maxLength: 3000 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), text, fc.array(text, { maxLength: 20 }), (warnings, message, removed) => {
        const failure = { code: 'Damaged', message, retryable: false };

        const short = shortForm({ ...result, failure, warnings, warningCount: warnings.length, forget: { removed, bytesFreed: 1 } });

        expect(Buffer.byteLength(short)).toBeLessThanOrEqual(2048);
        expect(MoverResult.parse(JSON.parse(short)).failure?.code).toBe('Damaged');
      }),
    );
  });
});

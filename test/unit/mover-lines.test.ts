import { describe, expect, it } from '@jest/globals';
import { MoverLine } from '../../src/api/index.ts';
import { moverLines } from '../../src/mover/mover-lines.ts';

function recorded() {
  const clock = { now: 0 };
  const written: MoverLine[] = [];
  const lines = moverLines((text) => {
    expect(text.endsWith('\n')).toBe(true);
    written.push(MoverLine.parse(JSON.parse(text)));
  }, () => clock.now);
  return { clock, written, lines };
}

const progress = (filesDone: number) => ({ filesDone, bytesDone: filesDone * 10, bytesAdded: 0 });

describe('the lines that a mover prints', () => {
  it('are at most one a second of progress, and the last counts are not lost', () => {
    const { clock, written, lines } = recorded();

    for (let at = 0; at <= 2500; at += 100) {
      clock.now = at;
      lines.progress(progress(at));
    }
    lines.end();

    expect(written.map((line) => line.type === 'progress' && line.filesDone)).toEqual([0, 1000, 2000, 2500]);
  });

  it('leave totals out until the scan has ended', () => {
    const { clock, written, lines } = recorded();

    lines.progress(progress(1));
    clock.now = 1000;
    lines.progress({ ...progress(2), filesTotal: 4, bytesTotal: 40 });

    expect(written).toEqual([
      { type: 'progress', filesDone: 1, bytesDone: 10, bytesAdded: 0 },
      { type: 'progress', filesDone: 2, filesTotal: 4, bytesDone: 20, bytesTotal: 40, bytesAdded: 0 },
    ]);
  });

  it('tell the same trouble once in ten seconds and another one at once', () => {
    const { clock, written, lines } = recorded();

    lines.trouble('Throttled', 'slow down');
    clock.now = 9000;
    lines.trouble('Throttled', 'slow down');
    lines.trouble('Unavailable', 'nobody answers');
    clock.now = 10_000;
    lines.trouble('Throttled', 'slow down');

    expect(written.map((line) => line.type === 'trouble' && line.code)).toEqual(['Throttled', 'Unavailable', 'Throttled']);
  });
});

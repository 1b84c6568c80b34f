import { describe, expect, it } from '@jest/globals';
import { modeText } from '../../src/cmd/mode-text.ts';
import { progressBar, progressText } from '../../src/cmd/progress-display.ts';
import { formatBytes, formatCount, formatDuration } from '../../src/cmd/quantity.ts';
import { formatTable } from '../../src/cmd/table.ts';
import { wallTime } from '../../src/cmd/time-text.ts';
import { printable } from '../../src/mover/printable.ts';

describe('times for people', () => {
  it('are by one clock, whatever zone they were written in', () => {
    expect(wallTime('2030-01-31T13:00:00Z')).toMatch(/^2030-0[12]-\d\d \d\d:\d\d:00$/);
    expect(wallTime('2030-01-31T19:30:00.123456789+05:30')).toBe(wallTime('2030-01-31T14:00:00Z'));
  });

  it('are by the clock of the machine', () => {
    const at = new Date(2030, 6, 1, 2, 3, 4);
    expect(wallTime(at.toISOString())).toBe('2030-07-01 02:03:04');
  });

  it.each([['1999-99-99T10:00:00Z', '1999-99-99 10:00:00'], ['+012030-01-31T13:00:00Z', '+012030-01-31 13:00']])('%s, which no clock can show, stays as it is', (time, words) => expect(wallTime(time)).toBe(words));
});

describe('quantities for people', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1_048_575, '1.0 MiB'],
    [123 * 1024 * 1024, '123 MiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
    [9000 * 1024 ** 5, '9000 PiB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [40, '0.0 s'],
    [9949, '9.9 s'],
    [59_400, '59 s'],
    [59_600, '1 min 00 s'],
    [187_000, '3 min 07 s'],
    [7_500_000, '2 h 05 min'],
  ])('%d ms are %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  it('count one thing or many', () => {
    expect([formatCount(1, 'file'), formatCount(12_000, 'file'), formatCount(2, 'directory', 'directories')]).toEqual(['1 file', '12,000 files', '2 directories']);
  });
});

describe('the progress bar', () => {
  const half = { filesDone: 50, bytesDone: 512 * 1024, bytesAdded: 0, filesTotal: 100, bytesTotal: 1024 * 1024 };

  it('shows share, counts, rate and time left', () => {
    expect(progressText(half, 1000, 100)).toBe('[###############---------------]  50%  50 files  512 KiB of 1.0 MiB  512 KiB/s  1.0 s left');
  });

  it('promises nothing before the total is known, and nothing of an empty one', () => {
    expect(progressText({ filesDone: 3, bytesDone: 0, bytesAdded: 0 }, 0, 80)).toBe('3 files  0 B  0 B/s');
    expect(progressText({ filesDone: 0, bytesDone: 0, bytesAdded: 0, bytesTotal: 0 }, 10, 80)).toContain('100%');
  });

  it('names what it counts', () => {
    expect(progressText({ ...half, unit: 'pack' }, 1000, 100)).toContain('50 packs  512 KiB of 1.0 MiB');
    expect(progressText({ ...half, unit: 'object', filesDone: 1 }, 1000, 100)).toContain('1 object  512 KiB');
    expect(progressText({ unit: 'directory', filesDone: 12_000, bytesDone: 0, bytesAdded: 0 }, 1000, 100)).toBe('12,000 directories');
  });

  it('fits the terminal, however narrow', () => {
    for (const columns of [1, 10, 40, 60, 80, 200]) expect(progressText(half, 1000, columns).length).toBeLessThan(columns);
  });

  it('is redrawn five times a second and leaves no trace', () => {
    const written: string[] = [];
    const clock = { now: 0 };
    const bar = progressBar({ write: (text) => written.push(text), columns: 80, now: () => clock.now });

    for (; clock.now <= 1000; clock.now += 10) bar.update(half);
    bar.end();

    expect(written).toHaveLength(7);
    expect(written.at(-1)).toBe('\r\u001b[K');
  });
});

describe('text from files and repositories', () => {
  it('cannot steer a terminal', () => {
    expect(printable('evil\u001b]0;title\u0007\nname\u202egpj.exe')).toBe('evil\\x1b]0;title\\x07\\x0aname\\u202egpj.exe');
    expect(printable('Ünïcödé 漢字 ok')).toBe('Ünïcödé 漢字 ok');
  });
});

describe('modes', () => {
  it.each([
    ['file', 0o644, '-rw-r--r--'],
    ['dir', 0o1777, 'drwxrwxrwt'],
    ['file', 0o4755, '-rwsr-xr-x'],
    ['file', 0o6644, '-rwSr-Sr--'],
    ['symlink', 0o777, 'lrwxrwxrwx'],
    ['chardev', 0o020600, 'crw-------'],
  ])('%s %i is %s', (type, mode, text) => expect(modeText(type, mode)).toBe(text));
});

describe('tables', () => {
  it('pad columns to their widest cell', () => {
    expect(formatTable(['ID', 'Host'], [['a', 'long name'], ['bcd', '']])).toBe('ID   Host\na    long name\nbcd');
  });
});

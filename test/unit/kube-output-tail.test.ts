import { describe, expect, it } from '@jest/globals';
import { OutputTail } from '../../src/kube/index.ts';

function tailOf(...pieces: readonly (string | Buffer)[]): string {
  const tail = new OutputTail();
  for (const piece of pieces) tail.write(piece);
  return tail.text;
}

describe('the end of what a command printed', () => {
  it('is what it printed, its lines in one', () => {
    expect(tailOf('first\n', 'second\r\nthi', 'rd\n\n')).toBe('first | second | third');
    expect(tailOf()).toBe('');
  });

  it('is at most 1 KiB, whatever comes, and never half a character', () => {
    for (const text of ['x'.repeat(5_000_000), 'ä€😀'.repeat(100_000), '\n'.repeat(100_000), `${'a'.repeat(1022)}ä`]) {
      const shown = tailOf(text);
      expect(Buffer.byteLength(shown)).toBeLessThanOrEqual(1024);
      expect(shown).not.toContain('\uFFFD');
    }
    expect(tailOf('x'.repeat(100_000), 'FATAL: the end')).toMatch(/^… x+FATAL: the end$/);
  });

  it('holds no control character, so that it cannot write to a terminal what it is not', () => {
    expect(tailOf('\u001b[31mred\u0007 \u202egnp.exe')).toBe('[31mred   gnp.exe');
  });

  it.each([
    ['postgres://app:hunter2@db/shop', 'postgres://app:***@db/shop'],
    ['password=hunter2 host=db', 'password=*** host=db'],
    ['PGPASSWORD: "hunter 2", x', 'PGPASSWORD: ***, x'],
    ['Authorization: Bearer abc.def', 'Authorization: ***'],
    ['secret_access_key=abc', 'secret_access_key=***'],
  ])('masks what looks like a secret: %s', (text, masked) => {
    expect(tailOf(text)).toBe(masked);
    expect(tailOf(text)).not.toMatch(/hunter|abc/);
  });

  it('masks a secret that the cut goes through', () => {
    expect(tailOf(`password=${'s'.repeat(1500)} ${'x'.repeat(100)}`)).toBe(`password=*** ${'x'.repeat(100)}`);
  });
});

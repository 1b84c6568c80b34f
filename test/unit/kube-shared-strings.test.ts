import { describe, expect, it } from '@jest/globals';
import v8 from 'node:v8';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SharedStrings } from '../../src/kube/shared-strings.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const text = (i: number) => JSON.stringify({ metadata: { name: `b${i}`, labels: { trigger: 'Manual' } }, status: { message: 'Every file could be read, as it should be.', list: ['2026-01-01T00:00:00Z', 1, null, true] } });

function heapOf(make: (i: number) => unknown): number {
  // Twice, for what the first finds dead may have kept other things alive until then: those of the tests before this one.
  gc();
  gc();
  const before = v8.getHeapStatistics().used_heap_size;
  const kept = Array.from({ length: 20_000 }, (_, i) => make(i));
  gc();
  return (v8.getHeapStatistics().used_heap_size - before) / kept.length;
}

describe('shared strings', () => {
  it('change nothing that can be seen', () => {
    const shared = new SharedStrings();
    for (let i = 0; i < 3; i++) expect(shared.share(JSON.parse(text(i)))).toEqual(JSON.parse(text(i)));
    expect([shared.share('a'), shared.share(null), shared.share(7), shared.share(undefined)]).toEqual(['a', null, 7, undefined]);
  });

  it('cost much less than strings of their own', () => {
    const shared = new SharedStrings();
    const apart = heapOf((i) => JSON.parse(text(i)));
    const together = heapOf((i) => shared.share(JSON.parse(text(i))));
    expect(together).toBeLessThan(apart * 0.85);
  });
});

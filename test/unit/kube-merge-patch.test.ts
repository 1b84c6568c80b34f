import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isSame, mergePatch } from '../../src/kube/index.ts';

/** RFC 7386, section 2, as its pseudocode says. */
function applyPatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...(target) } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, key);
    else result[key] = applyPatch(result[key], value);
  }
  return result;
}

/** JSON objects without null, which a merge patch cannot set. */
const json = fc.letrec<{ object: Record<string, unknown>; value: unknown }>((tie) => ({
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), { maxKeys: 4 }),
  value: fc.oneof({ depthSize: 'small' }, fc.integer(), fc.string(), fc.boolean(), fc.array(fc.integer(), { maxLength: 3 }), tie('object')),
})).object;

describe('mergePatch', () => {
  it('turns before into after, whatever they are', () => {
    fc.assert(
      fc.property(json, json, (before, after) => {
        const patch = mergePatch(before, after);
        expect(isSame(patch === undefined ? before : applyPatch(before, patch), after)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('is undefined when nothing differs, so that nothing is written', () => {
    fc.assert(fc.property(json, (object) => mergePatch(object, structuredClone(object)) === undefined));
  });

  it('counts an undefined field as one that is not there', () => {
    expect(mergePatch({ a: 1 }, { a: 1, b: undefined })).toBeUndefined();
    expect(mergePatch({ a: 1, b: 2 }, { a: 1, b: undefined })).toEqual({ b: null });
  });

  it('replaces lists whole', () => {
    expect(mergePatch({ list: [1, 2] }, { list: [1] })).toEqual({ list: [1] });
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, parseCanonicalJson } from '../../src/storage/index.ts';

const text = (value: unknown): string => new TextDecoder().decode(canonicalJson(value));

describe('canonical JSON', () => {
  it('is that of RFC 8785, section 3.2.2', () => {
    const value: unknown = JSON.parse(
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
    );
    // 1E30 is beyond I-JSON, as are all whole numbers that a double does not hold exactly.
    expect(() => canonicalJson(value)).toThrow(TypeError);
    const rest = { ...(value as object), numbers: [333333333.33333329, 4.5, 2e-3, 0.000000000000000000000000001] };
    expect(text(rest)).toBe('{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}');
  });

  it('sorts members by code units (RFC 8785, section 3.2.3)', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 };
    expect(text(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\u{1f600}":5,"\ufb33":3}');
  });

  it('does not depend on the order of members, and reads back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()), (value) => {
        let bytes: Uint8Array;
        try {
          bytes = canonicalJson(value);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          return; // beyond I-JSON
        }
        const turned = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(turned)).toEqual(bytes);
        expect(canonicalJson(parseCanonicalJson(bytes))).toEqual(bytes);
      }),
    );
  });

  it.each([[NaN], [Infinity], [2 ** 53], [-(2 ** 53)], ['\ud800'], [{ '\udc00': 1 }], [undefined], [1n], [new Date()], [() => 1], [new Map()], [[undefined]]])('refuses %p', (value) => {
    expect(() => canonicalJson(value)).toThrow(TypeError);
  });

  it('leaves absent members out', () => {
    expect(text({ b: undefined, a: 1 })).toBe('{"a":1}');
  });

  it('refuses to nest for ever', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 1000; level += 1) deep = [deep];
    expect(() => canonicalJson(deep)).toThrow('nests deeper');
  });

  it.each(['{ }', '{"b":1,"a":1}', '1.0', '1e2', '{"a":1,"a":1}', '"\\u0041"', '\ufeff1', '', '1 ', '-0'])('does not take %j, which is not the one form', (given) => {
    expect(() => parseCanonicalJson(new TextEncoder().encode(given))).toThrow(TypeError);
  });

  it('takes only the one form of whatever it takes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map((json) => new TextEncoder().encode(json))), (bytes) => {
        try {
          expect(Buffer.from(canonicalJson(parseCanonicalJson(bytes))).equals(bytes)).toBe(true);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
        }
      }),
    );
  });
});

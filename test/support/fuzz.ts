/** Inputs for parsers that read what someone damaged or forged, and the limits within which each must end. */
import { setImmediate } from 'node:timers/promises';
import { expect } from '@jest/globals';
import fc from 'fast-check';

/** A short run each time; `FUZZ_RUNS=1000000` for the long one. */
export const fuzzRuns = Number(process.env['FUZZ_RUNS'] ?? 3000);
/** So that the long run is not cut off by Jest. */
export const fuzzTimeoutMs = 60_000 + fuzzRuns * 2;

/** The longest that one small input may take; the valid ones take microseconds. */
const maxMsEach = 1000;
/** By how much the process may grow beyond its peak for one input of a few KiB, bytes. Over all of them it grows with what V8 has not collected yet. */
const maxGrowthEach = 96 * 1024 * 1024;

export interface Fuzzed {
  readonly valid: Uint8Array;
  /** Returns, or throws one of the errors that `accepts` knows. */
  readonly parse: (input: Uint8Array) => unknown;
  readonly accepts: (error: unknown) => boolean;
}

/** Bytes near to something valid, values near to it where that is JSON, and any bytes. */
export function inputsNear(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  const parts = [
    { weight: 4, arbitrary: mutated(valid) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  ];
  const json = jsonOf(valid);
  if (json !== undefined) parts.push({ weight: 4, arbitrary: mutatedJson(json) });
  return fc.oneof(...parts);
}

const pieces = ['null', '{', '[', '"', '-1', '1e999', '99999999999999999999', '\\u0000', '\\ud800', ',,', '\\', '\\x', '[[[[[[[[', '"nodes":', '"__proto__":'];

/** Some bytes replaced, cut, doubled, flipped or put in. */
export function mutated(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  const put = fc.oneof(fc.uint8Array({ maxLength: 4 }), fc.constantFrom(...pieces).map((text) => new Uint8Array(Buffer.from(text))), fc.nat(valid.length).map((at) => valid.slice(at, at + 40)));
  const change = fc.record({ at: fc.nat(valid.length), drop: fc.oneof({ weight: 9, arbitrary: fc.nat(8) }, { weight: 1, arbitrary: fc.nat(valid.length) }), put });
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    let bytes = Buffer.from(valid);
    for (const { at, drop, put: inserted } of changes) bytes = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(Math.min(bytes.length, at + drop))]);
    return new Uint8Array(bytes);
  });
}

/** What stands in for a value of the document. */
const strange: readonly unknown[] = [
  null, true, false, 0, -0, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, 1e300, '', 'x', '\0', '../../x', '\\', '\\x', '\\xff', '\\400', '\ud800', '"', 'a'.repeat(5000), 'AB'.repeat(32), 'ab'.repeat(32),
  '9999-99-99T99:99:99Z', '-0001-01-01T00:00:00Z', [], {}, [null], [[]], [{}], { nodes: null }, { id: 1 }, { __proto__: null, constructor: 1 }, nested(100), nested(20_000),
];

function nested(levels: number): unknown {
  let value: unknown = [];
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

interface Change {
  readonly at: number;
  readonly value: unknown;
  readonly action: 'replace' | 'remove' | 'repeat' | 'add';
}

function mutatedJson(document: unknown): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(10_000), value: fc.constantFrom(...strange), action: fc.constantFrom('replace' as const, 'replace' as const, 'remove' as const, 'repeat' as const, 'add' as const) });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const copy = structuredClone({ document });
    for (const each of changes) applyTo(copy, each);
    return new Uint8Array(Buffer.from(safeJson(copy.document)));
  });
}

/** Deep values overflow the stack of `JSON.stringify`, not that of a parser that is worth its name; they are written by hand. */
function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return '['.repeat(20_000) + ']'.repeat(20_000);
  }
}

/** Does one thing to the `at`-th value of the document, counted over all of its objects and lists. */
function applyTo(root: object, { at, value, action }: Change): void {
  const places: { readonly holder: object; readonly key: string }[] = [];
  const waiting: object[] = [root];
  for (let holder = waiting.pop(); holder !== undefined && places.length < 2000; holder = waiting.pop()) {
    for (const [key, member] of Object.entries(holder)) {
      places.push({ holder, key });
      if (typeof member === 'object' && member !== null) waiting.push(member as object);
    }
  }
  const place = places[at % places.length];
  if (place === undefined) return;
  const { holder, key } = place;
  if (action === 'remove' && Array.isArray(holder)) holder.splice(Number(key), 1);
  else if (action === 'remove' && holder !== root) Reflect.deleteProperty(holder, key);
  else if (action === 'repeat' && Array.isArray(holder)) holder.push(holder[Number(key)]);
  else if (action === 'add') Reflect.set(holder, Array.isArray(holder) ? String(holder.length) : `${key}x`, value);
  else Reflect.set(holder, key, value);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

/** Inputs between two turns of the event loop, so that what was collected is given back. */
const batch = 10_000;

/** Fails for an error that `accepts` does not know, and for an input that takes too long or too much memory. */
export async function fuzz({ valid, parse, accepts }: Fuzzed, inputs = inputsNear(valid)): Promise<void> {
  await assertInBatches(fc.property(inputs, (input) => withinLimits(() => tolerate(() => parse(input), accepts))));
}

/** `fuzzRuns` inputs for a property that says more than that nothing breaks. */
export async function assertInBatches<T>(property: fc.IProperty<T>): Promise<void> {
  for (let done = 0; done < fuzzRuns; done += batch) {
    fc.assert(property, { numRuns: Math.min(batch, fuzzRuns - done) });
    await setImmediate();
  }
}

/** The same for a parser that reads from a file. */
export async function fuzzAsync({ valid, parse, accepts }: Fuzzed, inputs = inputsNear(valid)): Promise<void> {
  await fc.assert(
    fc.asyncProperty(inputs, async (input) => {
      const started = process.cpuUsage();
      const peak = peakBytes();
      try {
        await parse(input);
      } catch (error) {
        if (!accepts(error)) throw error;
      }
      expect(cpuMsSince(started)).toBeLessThan(maxMsEach);
      expect(peakBytes() - peak).toBeLessThan(maxGrowthEach);
    }),
    { numRuns: fuzzRuns },
  );
}

function tolerate(parse: () => unknown, accepts: (error: unknown) => boolean): void {
  try {
    parse();
  } catch (error) {
    if (!accepts(error)) throw error;
  }
}

/** Wall-clock first, for it is cheap; CPU time decides, for the machine may have been busy. */
function withinLimits(action: () => void): void {
  const started = performance.now();
  const peak = peakBytes();
  action();
  if (peakBytes() - peak >= maxGrowthEach) expect(peakBytes() - peak).toBeLessThan(maxGrowthEach);
  if (performance.now() - started < maxMsEach) return;
  const before = process.cpuUsage();
  action();
  expect(cpuMsSince(before)).toBeLessThan(maxMsEach);
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** The most that this process ever had in memory. */
function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** A small deterministic generator (mulberry32): the same seed gives the same tree on every machine. */
export interface SeededRandom {
  /** 0 ≤ n < 1 */
  next(): number;
  /** 0 ≤ n < bound, whole */
  below(bound: number): number;
  pick<T>(from: readonly T[]): T;
  bytes(length: number): Buffer;
  /** Source-like text that compresses about as code does. */
  text(length: number): Buffer;
}

const words = 'const function return await import export tenant backup restore volume snapshot index number string readonly if else for of new throw error this'.split(' ');

export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  function uint32(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
  const random: SeededRandom = {
    next: () => uint32() / 2 ** 32,
    below: (bound) => Math.floor((uint32() / 2 ** 32) * bound),
    pick(from) {
      const item = from[random.below(from.length)];
      if (item === undefined) throw new RangeError('nothing to pick from');
      return item;
    },
    bytes(length) {
      const whole = new Uint32Array(Math.ceil(length / 4));
      for (let i = 0; i < whole.length; i++) whole[i] = uint32();
      return Buffer.from(whole.buffer, 0, length);
    },
    text(length) {
      let text = '';
      while (text.length < length) text += `${random.pick(words)}${String(random.below(1000))}${random.pick([' ', ' = ', '(', ');\n', ', ', '\n  '])}`;
      return Buffer.from(text.slice(0, length));
    },
  };
  return random;
}

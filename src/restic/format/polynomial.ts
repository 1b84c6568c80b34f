import { randomBytes } from 'node:crypto';

/**
 * Polynomials over GF(2), one bit a coefficient. restic's chunker needs an irreducible one of degree 53 and refuses a
 * repository whose `config` has none, though our own chunker does not use it.
 */
const degreeOfChunker = 53;

export function degreeOf(polynomial: bigint): number {
  return polynomial.toString(2).length - 1;
}

export function randomIrreducible(): bigint {
  const top = 1n << BigInt(degreeOfChunker);
  for (;;) {
    // A polynomial without the constant term is divisible by x. About one in 27 of the others is irreducible.
    const candidate = (BigInt(`0x${randomBytes(8).toString('hex')}`) % top) | top | 1n;
    if (isIrreducible(candidate)) return candidate;
  }
}

/** Ben-Or's test: no common factor with x^(2^i) − x for any i up to half the degree. */
export function isIrreducible(polynomial: bigint): boolean {
  const degree = degreeOf(polynomial);
  if (degree < 1) return false;
  let power = 2n;
  for (let i = 1; i <= Math.floor(degree / 2); i += 1) {
    power = remainder(square(power), polynomial);
    if (greatestCommonDivisor(polynomial, power ^ 2n) !== 1n) return false;
  }
  return true;
}

function square(polynomial: bigint): bigint {
  let result = 0n;
  for (let bit = 0n, rest = polynomial; rest !== 0n; rest >>= 1n, bit += 2n) if ((rest & 1n) === 1n) result |= 1n << bit;
  return result;
}

function remainder(dividend: bigint, divisor: bigint): bigint {
  const degree = degreeOf(divisor);
  let rest = dividend;
  for (let excess = degreeOf(rest) - degree; rest !== 0n && excess >= 0; excess = degreeOf(rest) - degree) rest ^= divisor << BigInt(excess);
  return rest;
}

function greatestCommonDivisor(one: bigint, other: bigint): bigint {
  let [a, b] = [one, other];
  while (b !== 0n) [a, b] = [b, remainder(a, b)];
  return a;
}

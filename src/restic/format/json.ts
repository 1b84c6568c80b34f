import { damaged } from './damaged.ts';

/**
 * Reading JSON that someone may have forged: every accessor checks the type and throws `Damaged` naming the object and field.
 */
export class JsonReader {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #what: string;

  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged(what, 'it is no JSON object');
    this.#object = value as Readonly<Record<string, unknown>>;
    this.#what = what;
  }

  has(field: string): boolean {
    const value = this.#object[field];
    return value !== undefined && value !== null;
  }

  text(field: string): string {
    const value = this.#object[field];
    if (typeof value !== 'string') throw this.#wrong(field, 'a text');
    return value;
  }

  optionalText(field: string): string | undefined {
    return this.has(field) ? this.text(field) : undefined;
  }

  id(field: string): string {
    return parseId(this.#object[field], this.#what, field);
  }

  optionalId(field: string): string | undefined {
    return this.has(field) ? this.id(field) : undefined;
  }

  /** A whole number from 0 to `max` (2^32 − 1 unless given). */
  count(field: string, max = 0xffffffff): number {
    const value = this.#object[field];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) throw this.#wrong(field, `a whole number up to ${max}`);
    return value;
  }

  optionalCount(field: string, max?: number): number | undefined {
    return this.has(field) ? this.count(field, max) : undefined;
  }

  flag(field: string): boolean {
    return this.#object[field] === true;
  }

  list(field: string): readonly unknown[] {
    const value = this.#object[field];
    if (!Array.isArray(value)) throw this.#wrong(field, 'a list');
    return value;
  }

  optionalTexts(field: string): readonly string[] {
    if (!this.has(field)) return [];
    return this.list(field).map((item) => {
      if (typeof item !== 'string') throw this.#wrong(field, 'a list of texts');
      return item;
    });
  }

  object(field: string): JsonReader {
    return new JsonReader(this.#object[field], `${this.#what}, ${field}`);
  }

  value(field: string): unknown {
    return this.#object[field];
  }

  #wrong(field: string, expected: string): Error {
    return damaged(this.#what, `its field "${field}" is not ${expected}`);
  }
}

const idPattern = /^[0-9a-f]{64}$/;

export function isId(value: unknown): value is string {
  return typeof value === 'string' && idPattern.test(value);
}

export function parseId(value: unknown, what: string, field: string): string {
  if (!isId(value)) throw damaged(what, `its field "${field}" is not 64 hex digits`);
  return value;
}

/** `JSON.parse` of UTF-8 bytes; `Damaged` when they are none. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as unknown;
  } catch (cause) {
    throw damaged(what, 'it is no valid JSON', cause);
  }
}

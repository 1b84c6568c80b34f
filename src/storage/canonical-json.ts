const MAX_DEPTH = 64;

/**
 * RFC 8785 (JCS): members sorted by UTF-16 code units, numbers as ECMAScript writes them, no white space; UTF-8. Only
 * I-JSON (RFC 7493) passes: whole numbers must be exact in a double, strings must not hold lone surrogates. Absent
 * (`undefined`) members are left out.
 * @throws {TypeError} for what JSON cannot say; that is a bug of the caller's.
 */
export function canonicalJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(serialize(value, 0));
}

function serialize(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new TypeError(`JSON nests deeper than ${MAX_DEPTH} levels`);
  switch (typeof value) {
    case 'undefined':
    case 'bigint':
    case 'symbol':
    case 'function':
      throw new TypeError(`JSON cannot say a ${typeof value}`);
    case 'string':
      if (!value.isWellFormed()) throw new TypeError('a string holds half of a surrogate pair, which UTF-8 cannot say');
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`JSON has no number ${value}`);
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new TypeError(`${value} is not exact in a double; write it as a string`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? serializeArray(value, depth) : serializeObject(value, depth);
  }
}

function serializeArray(items: readonly unknown[], depth: number): string {
  return `[${items.map((item) => serialize(item, depth + 1)).join(',')}]`;
}

function serializeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw new TypeError(`JSON cannot say a ${value.constructor.name}`);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    // Code units, not code points: that is what JavaScript's `<` compares.
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${serialize(name, depth)}:${serialize(member, depth + 1)}`);
  return `{${members.join(',')}}`;
}

/**
 * Reads bytes that must be canonical JSON, and nothing else: what hashes or is signed has one form only.
 * @throws {TypeError} that says what is wrong, without quoting the text, which may be anything.
 */
export function parseCanonicalJson(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new TypeError('it is not JSON in UTF-8');
  }
  if (!Buffer.from(canonicalJson(value)).equals(bytes)) throw new TypeError('it is not in canonical form (RFC 8785)');
  return value;
}

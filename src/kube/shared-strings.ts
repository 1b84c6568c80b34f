/** Forgotten all at once beyond this many, so that what is unique to each object does not pile up. */
const MOST_KNOWN = 20_000;
/** Longer ones are seldom the same twice. */
const LONGEST = 200;

/**
 * Makes equal strings of many objects one string: thousands of backups say the same words, and each copy would cost as much as the
 * first.
 */
export class SharedStrings {
  readonly #known = new Map<string, string>();

  /** Changes a value that was just parsed, and belongs to nobody else, in place. */
  share<T>(value: T): T {
    return this.#visit(value) as T;
  }

  #visit(value: unknown): unknown {
    if (typeof value === 'string') return this.#one(value);
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) value[index] = this.#visit(value[index]);
    } else if (typeof value === 'object' && value !== null) {
      const record = value as Record<string, unknown>;
      for (const key of Object.keys(record)) {
        const was = record[key];
        if (typeof was === 'string' || (typeof was === 'object' && was !== null)) record[key] = this.#visit(was);
      }
    }
    return value;
  }

  #one(text: string): string {
    if (text.length > LONGEST) return text;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    this.#known.set(text, text);
    return text;
  }
}

/** A set of blobs that a table places: one bit for each slot (`BlobTable.slotOf`), so a million of them take 160 KB. */
export class SlotSet {
  #words: Int32Array;
  #size = 0;

  /** @param slots - of the table; it may grow */
  constructor(slots: number) {
    this.#words = new Int32Array(Math.ceil(slots / 32));
  }

  get size(): number {
    return this.#size;
  }

  has(slot: number): boolean {
    return (((this.#words[slot >>> 5] ?? 0) >>> (slot & 31)) & 1) === 1;
  }

  /** False when the slot was in the set already. */
  add(slot: number): boolean {
    if (this.has(slot)) return false;
    if (slot >>> 5 >= this.#words.length) {
      const larger = new Int32Array(Math.max(this.#words.length * 2, (slot >>> 5) + 1));
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words[slot >>> 5] = (this.#words[slot >>> 5] ?? 0) | (1 << (slot & 31));
    this.#size += 1;
    return true;
  }
}

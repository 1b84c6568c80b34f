/**
 * The items of `source`, of which up to `count` are asked for before they are taken: who compares two listings then waits for both places at
 * the same time. The source is told when the reader stops early.
 */
export async function* readAhead<T>(source: AsyncIterable<T>, count: number): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const asked: Promise<IteratorResult<T, unknown>>[] = [];
  try {
    for (;;) {
      while (asked.length < count) {
        const next = iterator.next();
        // It is awaited when its turn comes; until then a failure must not count as unhandled.
        next.catch(() => undefined);
        asked.push(next);
      }
      const item = await asked.shift();
      if (item === undefined || item.done === true) return;
      yield item.value;
    }
  } finally {
    await iterator.return?.();
  }
}

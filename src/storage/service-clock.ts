/** What a service's answers say of its own clock, by which it keeps locks. */
export class ServiceClock {
  #heard: { readonly time: number; readonly at: number } | undefined;
  readonly #elapsed: () => number;

  /** @param elapsed - milliseconds that nobody sets back */
  constructor(elapsed: () => number = () => performance.now()) {
    this.#elapsed = elapsed;
  }

  /** @param date - an answer's header `Date` (RFC 9110), in whole seconds */
  hear(date: string | undefined): void {
    const time = date === undefined ? NaN : Date.parse(date);
    if (!Number.isNaN(time)) this.#heard = { time, at: this.#elapsed() };
  }

  /** What it shows now, milliseconds since the epoch; `undefined` before the first answer. */
  now(): number | undefined {
    return this.#heard === undefined ? undefined : this.#heard.time + this.#elapsed() - this.#heard.at;
  }
}

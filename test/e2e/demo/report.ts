// The demo's report: one line a step with its time, and what a step found below it.
import { styleText } from 'node:util';

export interface Report {
  /** Runs one step and prints how it ended; a step that throws ends the demo. */
  step<T>(what: string, work: (say: (line: string) => void) => Promise<T> | T): Promise<T>;
  /** Something for people to look at, printed as it is. */
  show(title: string, text: string): void;
  readonly seconds: () => number;
}

export function startReport(): Report {
  const started = performance.now();
  const paint = (style: Parameters<typeof styleText>[0], text: string): string => (process.stdout.isTTY ? styleText(style, text) : text);
  return {
    async step(what, work) {
      const began = performance.now();
      const said: string[] = [];
      const print = (mark: string): void => {
        const time = `${((performance.now() - began) / 1000).toFixed(1)} s`;
        process.stdout.write(`${mark} ${what} ${paint('dim', `(${time})`)}\n${said.map((line) => `    ${line}\n`).join('')}`);
      };
      try {
        const result = await work((line) => said.push(line));
        print(paint('green', '✓'));
        return result;
      } catch (error) {
        print(paint('red', '✗'));
        throw error;
      }
    },
    show(title, text) {
      process.stdout.write(`\n${paint('bold', title)}\n${text.trimEnd()}\n\n`);
    },
    seconds: () => (performance.now() - started) / 1000,
  };
}

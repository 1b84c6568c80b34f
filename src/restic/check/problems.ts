import { StorageError } from '../../storage/index.ts';
import { EngineError } from '../errors.ts';

export interface Problem {
  readonly kind: string;
  readonly object: string;
  readonly message: string;
}

/** What was found. Each thing is reported once, however many ways lead to it. */
export class Problems {
  readonly list: Problem[] = [];
  readonly #known = new Set<string>();

  add(kind: string, object: string, message: string): void {
    const key = `${kind} ${object}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.list.push({ kind, object, message });
  }

  /** Does something that may find damage. @returns `undefined` when it did; failures of the store are no damage and are thrown on */
  async attempt<T>(kind: string, object: string, advice: string, action: () => Promise<T>): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof EngineError && error.code === 'Damaged') this.add(kind, object, `${whyOf(error)} ${advice}`);
      else if (error instanceof StorageError && (error.code === 'NotFound' || error.code === 'Truncated')) this.add(kind, object, `${object} is missing or cut short. ${advice}`);
      else throw error;
      return undefined;
    }
  }
}

/** The first sentence: what is damaged and why; `check` has advice of its own. */
function whyOf(error: EngineError): string {
  const end = error.message.indexOf('. Run ');
  return end < 0 ? error.message : error.message.slice(0, end + 1);
}

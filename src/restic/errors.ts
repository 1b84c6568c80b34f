import type { EngineErrorCode } from './contract.ts';

export interface EngineErrorOptions {
  readonly retryable?: boolean;
  readonly context?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/** A failure of the engine. `cmd/` maps codes to exit statuses, `mover/` to results, each in one table. */
export class EngineError extends Error {
  readonly code: EngineErrorCode;
  readonly retryable: boolean;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(code: EngineErrorCode, message: string, options: EngineErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'EngineError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.context = options.context ?? {};
  }
}

/** What to do about an object of a repository that is not what it must be; without a full stop. */
export const REPAIR =
  'Run `check --read-data` to find out what else is; bring the object back from another copy of the repository, or keep what can be restored with `restore --skip-damaged` and back up anew (docs/errors.md, "When something is damaged")';

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

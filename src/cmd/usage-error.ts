/** A command line that says something impossible; exit status 2. The message names the option and what to write instead. */
export class UsageError extends Error {
  readonly code = 'Usage';

  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

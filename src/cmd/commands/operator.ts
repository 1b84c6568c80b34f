import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT } from '../exit-status.ts';
import { OperatorOptions, operatorSettings } from '../operator/options.ts';
import { runOperator } from '../operator/run-operator.ts';
import { UsageError } from '../usage-error.ts';

/** `tenant-backup operator`: runs until it is told to stop. */
export async function operator(options: unknown, { signal }: ProcessContext): Promise<number> {
  const given = readOptions(OperatorOptions, options);
  let settings;
  try {
    settings = operatorSettings(given, process.env);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
  await runOperator(settings, signal);
  return EXIT.done;
}

import type { ProcessContext } from '../command-context.ts';
import { EXIT } from '../exit-status.ts';
import { OperatorOptions, operatorSettings } from '../operator/options.ts';
import { runOperator } from '../operator/run-operator.ts';
import { UsageError } from '../usage-error.ts';

/** `tenant-backup operator`: runs until it is told to stop. */
export async function operator(options: unknown, { signal }: ProcessContext): Promise<number> {
  const parsed = OperatorOptions.safeParse(options);
  if (!parsed.success) {
    const [first] = parsed.error.issues;
    throw new UsageError(`--${kebab(first?.path.join('.') ?? '')}: ${first?.message ?? 'is not valid'}`);
  }
  let settings;
  try {
    settings = operatorSettings(parsed.data, process.env);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
  await runOperator(settings, signal);
  return EXIT.done;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

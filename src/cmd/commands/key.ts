import { open, rm } from 'node:fs/promises';
import * as z from 'zod';
import { generateSecretKey, readWrappings, writeSecretKey, type NamedWrapping } from '../../keys/index.ts';
import { outputFileError } from '../../mover/output-file-error.ts';
import { printable } from '../../mover/printable.ts';
import { EngineError } from '../../restic/errors.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import type { ObjectStore } from '../../storage/index.ts';
import { withStore } from '../store-access.ts';
import { formatTable } from '../table.ts';
import { wallTime } from '../time-text.ts';
import { UsageError } from '../usage-error.ts';

const TO_STDOUT = 'without --output the key goes to stdout; leave --output out, or name a file';

const CreateOptions = z.object({ output: z.string().min(1).refine((output) => output !== '-', TO_STDOUT).optional(), print: z.boolean().default(false), json: z.boolean().default(false) });
const ShowWrappedOptions = RepositoryOptions.pick({ repository: true, caFile: true, json: true });

/** For its owner alone. */
const KEY_FILE_MODE = 0o600;

/** `tenant-backup key create`: a new secret key in its written form, on stdout or in a new file. It is stored nowhere else. */
export async function keyCreate(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(CreateOptions, given);
  const { output, print } = options;
  if (options.json && output === undefined) throw new UsageError('--json tells of the file that --output names; without it the key itself is what is printed');
  if (output === undefined && context.stdout.isTTY === true && !print) {
    throw new UsageError(
      'the secret key is not printed on a terminal, where it stays in the scrollback and in recordings; ' +
        'give --output FILE, send it into a pipe, or give --print if that is what you want',
    );
  }
  const written = newKeyLine();
  try {
    if (output === undefined) {
      // A string cannot be wiped, but bytes that a full pipe has not taken yet must not be; the process ends right after this.
      context.stdout.write(Buffer.from(written).toString('latin1'));
    } else {
      await writeKeyFile(output, written);
      outputFor(options, context).print(
        { type: 'summary', command: 'key create', output },
        `secret key written to ${printable(output)}; it is stored nowhere else, and without it nobody can open what it encrypts`,
      );
    }
  } finally {
    written.fill(0);
  }
  return EXIT.done;
}

/** `tenant-backup key show-wrapped`: which KMS keys wrap a repository's secret key. Needs no key and shows no ciphertext. */
export async function keyShowWrapped(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(ShowWrappedOptions, given);
  const output = outputFor(options, context);
  const { location, found } = await withStore(options, context, async (store) => ({ location: store.location, found: await wrappingsOf(store, context.signal) }));
  const shown = found.map(describe).toSorted((one, other) => compare(one.createdAt, other.createdAt) || compare(one.name, other.name));
  if (output.json) {
    for (const wrapping of shown) output.print({ type: 'wrapping', ...wrapping }, '');
    return EXIT.done;
  }
  const rows = shown.map(({ provider, keyId, region, tenant, generation, createdAt, name }) =>
    [name.slice(0, 8), wallTime(createdAt), tenant, String(generation), provider, region ?? '', keyId].map(printable),
  );
  output.print(
    { type: 'wrappings' },
    rows.length === 0
      ? `no wrapped key under ${location}/wrappings/; whoever opens this repository needs its secret key itself`
      : formatTable(['Name', 'Created', 'Tenant', 'Gen', 'Provider', 'Region', 'Key'], rows),
  );
  return EXIT.done;
}

/** @throws {EngineError} `NoRepository`: no wrapping is what a repository has whose owner keeps its key, and what nothing has. */
async function wrappingsOf(store: ObjectStore, signal: AbortSignal): Promise<NamedWrapping[]> {
  const found = await readWrappings(store, signal);
  if (found.length > 0 || (await store.head('config', { signal })) !== undefined) return found;
  throw new EngineError('NoRepository', `There is neither a wrapped key nor a repository at ${store.location}. Check the place.`, { context: { location: store.location } });
}

/** What may be shown: each field by name, so that a new one in the file is not shown by accident. */
function describe({ name, wrapping }: NamedWrapping) {
  const { provider, keyId, region, tenant, generation, createdAt } = wrapping;
  return { name, provider, keyId, ...(region === undefined ? {} : { region }), tenant, generation, createdAt };
}

/** A new key in its written form, with a line end. The caller wipes it. */
function newKeyLine(): Uint8Array {
  const key = generateSecretKey();
  const written = writeSecretKey(key);
  key.fill(0);
  const line = new Uint8Array(written.byteLength + 1).fill(0x0a);
  line.set(written);
  written.fill(0);
  return line;
}

/** @throws {UsageError} when the file is there already or cannot be made. A file that could not be written whole is removed. */
async function writeKeyFile(path: string, line: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', KEY_FILE_MODE).catch((cause: unknown) => {
    throw new UsageError(`--output ${path}: ${reasonOf(cause)}`);
  });
  try {
    await file.writeFile(line);
    await file.sync();
  } catch (cause) {
    await rm(path, { force: true });
    throw outputFileError(cause, path);
  } finally {
    await file.close();
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
    return 'it is there already and may hold the only copy of a key; name a file that does not exist';
  }
  return `it cannot be made (${cause instanceof Error ? cause.message : String(cause)}); name a file in a directory that you can write to`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

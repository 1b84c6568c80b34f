import * as z from 'zod';
import { ensureGenerationKey, readWrappings, rewrapGenerationKey, type KeyIdentity, type Rewrapped } from '../../keys/index.ts';
import { NO_TENANT } from '../../mover/manifest.ts';
import { printable } from '../../mover/printable.ts';
import type { Engine } from '../../restic/contract.ts';
import { firstKey, type ObjectStore } from '../../storage/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { withProviders } from '../kms-access.ts';
import { outputFor, type Output } from '../output.ts';
import { readSecretKey } from '../repository-access.ts';
import { withStore } from '../store-access.ts';
import { tenantOf } from '../tenant-of-url.ts';
import { UsageError } from '../usage-error.ts';

const RewrapOptions = RepositoryOptions.extend({ toKms: z.array(z.string()).default([]) });
type RewrapOptions = z.infer<typeof RewrapOptions>;

const GENERATION = /\/g([1-9][0-9]{0,8})\/?$/;
const TENANT = /\/tenants\/[0-9a-f]{32}\/?$/;

/** `tenant-backup key rewrap`: one more wrapping for each KMS that `--to-kms` names, of one repository or of every generation of a tenant. */
export async function keyRewrap(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(RewrapOptions, given);
  const output = outputFor(options, context);
  if (options.toKms.length === 0) throw new UsageError('--to-kms is missing; name each KMS key that is to wrap the secret key, too');
  const repositories = await repositoriesOf(options, context);
  for (const repository of repositories) {
    for (const each of await rewrapOne({ ...options, repository }, context)) tell(output, repository, each);
  }
  output.print({ type: 'summary', command: 'key rewrap', repositories: repositories.length }, '');
  return EXIT.done;
}

/** The URL itself; or, of a tenant's, those of all generations, which count from 1 without a gap. */
async function repositoriesOf(options: RewrapOptions, context: ProcessContext): Promise<string[]> {
  const url = urlOf(options.repository);
  if (!TENANT.test(url.pathname)) return [options.repository];
  const found = await withStore(options, context, async (store) => {
    const urls: string[] = [];
    while ((await firstKey(store, `g${urls.length + 1}/wrappings/`, { signal: context.signal })) !== undefined) urls.push(generationUrl(url, urls.length + 1));
    return urls;
  });
  if (found.length === 0) throw new UsageError(`--repository ${options.repository}: no generation of this tenant has a wrapped key; is it the right tenant?`);
  return found;
}

function rewrapOne(options: RewrapOptions, context: ProcessContext): Promise<Rewrapped[]> {
  return withStore(options, context, async (store) => {
    const identity = await identityOf(options, store, context.signal);
    const secretKey = await readSecretKey(options, store, context);
    try {
      await assertOpens(store, secretKey, context.signal);
      return await withProviders({ kms: options.toKms, caFile: options.caFile }, context.stderr, (providers) =>
        rewrapGenerationKey(store, identity, secretKey, providers, context.signal),
      );
    } finally {
      secretKey.fill(0);
    }
  });
}

/** As the URL says, else as the wrappings that are there say. */
async function identityOf(options: RewrapOptions, store: ObjectStore, signal: AbortSignal): Promise<KeyIdentity> {
  const named = tenantOf(options);
  if (named !== undefined) return { tenantId: named.id, generation: named.generation };
  const [first] = await readWrappings(store, signal);
  return first === undefined ? { tenantId: NO_TENANT, generation: 1 } : { tenantId: first.wrapping.tenant, generation: first.wrapping.generation };
}

/** A wrapping of a key that opens something else would be noticed only when the old KMS key is gone. @throws {EngineError} `WrongKey` */
async function assertOpens(store: ObjectStore, password: Uint8Array, signal: AbortSignal): Promise<void> {
  const engine: Pick<Engine, 'openRepository'> = await import('../../restic/index.ts');
  await (await engine.openRepository({ store, password, signal })).close();
}

function tell(output: Output, repository: string, { provider, keyId, isNew }: Rewrapped): void {
  const generation = GENERATION.exec(urlOf(repository).pathname)?.[1];
  const what = generation === undefined ? 'the secret key' : `the secret key of generation ${generation}`;
  output.print(
    { type: 'rewrapped', ...(generation === undefined ? {} : { generation: Number(generation) }), provider, keyId, isNew },
    printable(isNew ? `${what} is wrapped under ${provider}:${keyId} now, too` : `${what} was wrapped under ${provider}:${keyId} before`),
  );
}

/** `tenant-backup key rotate`: the next generation beside the one that the URL names: a new secret key and an empty repository. */
export async function keyRotate(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(RepositoryOptions, given);
  const output = outputFor(options, context);
  const tenant = tenantOf(options);
  const url = urlOf(options.repository);
  if (tenant === undefined || !GENERATION.test(url.pathname)) {
    throw new UsageError(
      `--repository ${options.repository}: only a tenant's repository (…/tenants/TENANT/gN) has generations; for any other, make a new one with init and back up there`,
    );
  }
  if (options.kms.length === 0) throw new UsageError('--kms is missing; name each KMS key that is to wrap the new secret key');
  const generation = tenant.generation + 1;
  const repository = generationUrl(url, generation);
  await withStore(options, context, async (store) => {
    if ((await store.head('config', { signal: context.signal })) === undefined) throw new UsageError(`--repository ${options.repository}: there is no repository; is it the right tenant?`);
  });
  await withStore({ ...options, repository }, context, (store) => makeGeneration({ ...options, repository }, store, { tenantId: tenant.id, generation }, context));
  output.print(
    { type: 'summary', command: 'key rotate', generation, repository },
    `generation ${generation} is made, with a new secret key, at ${repository}; the next backup there is a full one, and what lies in generation ${tenant.generation} stays readable with its own key`,
  );
  return EXIT.done;
}

async function makeGeneration(options: RepositoryOptions, store: ObjectStore, identity: KeyIdentity, context: ProcessContext): Promise<void> {
  const engine: Pick<Engine, 'initRepository'> = await import('../../restic/index.ts');
  // One that is begun already is refused by the engine, below; an interrupted rotation is finished.
  const { secretKey } = await withProviders(options, context.stderr, (providers) => ensureGenerationKey(store, identity.tenantId, identity.generation, providers, context.signal));
  const repository = await engine.initRepository({ store, password: secretKey, signal: context.signal }).finally(() => secretKey.fill(0));
  await repository.close();
}

function urlOf(text: string): URL {
  if (!URL.canParse(text)) throw new UsageError(`--repository ${text}: this is no URL; give file:///directory or s3://bucket/prefix?endpoint=…`);
  return new URL(text);
}

function generationUrl(url: URL, generation: number): string {
  const next = new URL(url);
  next.pathname = `${url.pathname.replace(GENERATION, '').replace(/\/+$/, '')}/g${generation}`;
  return next.href;
}

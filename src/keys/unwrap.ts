import type { ObjectStore } from '../storage/index.ts';
import { KeyError } from './errors.ts';
import type { KmsProvider } from './kms-provider.ts';
import { SECRET_KEY_BYTES, writeSecretKey } from './secret-key.ts';
import { tenantContext } from './tenant-context.ts';
import type { Wrapping } from './wrapping.ts';
import { readMarker, readWrappings, type NamedWrapping } from './wrappings-folder.ts';

/** Whose key a repository is, as its wrappings say. */
export interface KeyIdentity {
  readonly tenantId: string;
  readonly generation: number;
}

/**
 * The written secret key of a tenant's generation: the repository's password. The caller wipes it.
 * @param store at `g<generation>/`
 * @throws {KeyError} `WrongTenant` when a wrapping there is another tenant's or generation's: nothing is asked of a KMS then;
 *   `NoWrapping` when none is there, or none under a key that was given; what the KMS says otherwise.
 */
export async function unwrapGenerationKey(
  store: ObjectStore,
  tenantId: string,
  generation: number,
  providers: readonly KmsProvider[],
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const found = await readWrappings(store, signal);
  for (const { name, wrapping } of found) refuseForeign(name, wrapping, { tenantId, generation });
  return unwrapOne(store, found, { tenantId, generation }, providers, signal);
}

/** The same for a repository whose owner is not known beforehand (a downloaded file): the wrappings themselves must agree on it. */
export async function unwrapRepositoryKey(
  store: ObjectStore,
  providers: readonly KmsProvider[],
  signal?: AbortSignal,
): Promise<{ readonly secretKey: Uint8Array; readonly identity: KeyIdentity }> {
  const found = await readWrappings(store, signal);
  const first = found[0];
  if (first === undefined) throw noWrapping(store);
  const identity = { tenantId: first.wrapping.tenant, generation: first.wrapping.generation };
  for (const { name, wrapping } of found) refuseForeign(name, wrapping, identity);
  return { secretKey: await unwrapOne(store, found, identity, providers, signal), identity };
}

/** The message names both, so that a person sees which file lies in the wrong place. */
export function refuseForeign(name: string, wrapping: Pick<Wrapping, 'tenant' | 'generation'>, { tenantId, generation }: KeyIdentity): void {
  if (wrapping.tenant === tenantId && wrapping.generation === generation) return;
  throw new KeyError(
    'WrongTenant',
    `the wrapped key ${name} belongs to tenant ${wrapping.tenant}, generation ${wrapping.generation}, and not to tenant ${tenantId}, generation ${generation}; it is not used. Find out how it came there, and remove it`,
    { context: { tenant: tenantId, generation, wrapping: name } },
  );
}

async function unwrapOne(
  store: ObjectStore,
  found: readonly NamedWrapping[],
  identity: KeyIdentity,
  providers: readonly KmsProvider[],
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (found.length === 0) throw noWrapping(store);
  const first = new Set((await readMarker(store, signal))?.wrappings);
  const candidates = candidatesInOrder(found, first, providers);
  const context = tenantContext(identity.tenantId, identity.generation);
  let refusal: Error | undefined;
  for (const { provider, wrapping } of candidates) {
    try {
      const key = await provider.unwrap(Buffer.from(wrapping.ciphertext, 'base64'), context, { keyId: wrapping.keyId, signal });
      return toPassword(key, wrapping);
    } catch (error) {
      if (error instanceof KeyError && error.code === 'Aborted') throw error;
      // The first refusal is that of the likeliest key; another KMS may still open the same secret key.
      refusal ??= error instanceof Error ? error : new KeyError('Unexpected', String(error), { cause: error });
    }
  }
  if (refusal !== undefined) throw refusal;
  const wrappedUnder = [...new Set(found.map(({ wrapping }) => `${wrapping.provider}:${wrapping.keyId}`))].join(', ');
  throw new KeyError('NoWrapping', `the secret key in ${store.location} is wrapped under ${wrappedUnder}, and none of these was given; name one of them, and wrap it under the new key with tenant-backup key rewrap if that is to take its place`, {
    context: { location: store.location },
  });
}

interface Candidate {
  readonly provider: KmsProvider;
  readonly wrapping: Wrapping;
}

/**
 * Those that the marker names go first, in the order in which the providers were given: what refuses is then told of the same
 * KMS each time. A file that the marker does not name is a later re-wrapping, or what the loser of the first race could not
 * remove: newer ones are likelier the former.
 */
function candidatesInOrder(found: readonly NamedWrapping[], first: ReadonlySet<string>, providers: readonly KmsProvider[]): Candidate[] {
  const named = found.filter(({ name }) => first.has(name));
  const later = found.filter(({ name }) => !first.has(name)).toSorted((a, b) => b.wrapping.createdAt.localeCompare(a.wrapping.createdAt));
  const pair = (provider: KmsProvider, { wrapping }: NamedWrapping): Candidate[] => (mayOpen(provider, wrapping) ? [{ provider, wrapping }] : []);
  return [
    ...providers.flatMap((provider) => named.flatMap((file) => pair(provider, file))),
    ...later.flatMap((file) => providers.flatMap((provider) => pair(provider, file))),
  ];
}

/** A local key and an alias do not tell which key they are: then trying tells. */
function mayOpen(provider: KmsProvider, wrapping: Wrapping): boolean {
  if (provider.wrapOnly === true || provider.provider !== wrapping.provider) return false;
  if (provider.provider === 'local' || /(?:^|:)alias\//.test(provider.keyId)) return true;
  return isSameKey(provider.keyId, wrapping.keyId);
}

/** `arn:aws:kms:region:account:key/ID` and `ID` mean the same key. */
export function isSameKey(keyId: string, other: string): boolean {
  return lastPart(keyId) === lastPart(other);
}

function lastPart(keyId: string): string {
  return keyId.slice(keyId.lastIndexOf('/') + 1);
}

function toPassword(key: Uint8Array, wrapping: Wrapping): Uint8Array {
  try {
    if (key.byteLength !== SECRET_KEY_BYTES) {
      throw new KeyError('Damaged', `what the KMS key ${wrapping.keyId} unwraps is no secret key: ${key.byteLength} bytes instead of ${SECRET_KEY_BYTES}`);
    }
    return writeSecretKey(key);
  } finally {
    key.fill(0);
  }
}

function noWrapping(store: ObjectStore): KeyError {
  return new KeyError('NoWrapping', `there is no wrapped secret key in ${store.location}; is this the right repository, or was it made with a key of its own (--secret-key-file)? If neither, bring the folder wrappings/ back from another copy`, {
    context: { location: store.location },
  });
}

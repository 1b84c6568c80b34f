import { decodeFirstWrappings } from '../keys/index.ts';
import { StorageError, type ObjectStore, type PutOptions } from '../storage/index.ts';
import { promisedHash, verifyContent } from './content-name.ts';
import { decodeManifest, type Manifest } from './manifest.ts';

/**
 * An object of a repository is what its name says; what is not named by its content must at least read as what it is.
 * @param name - inside its generation
 * @returns a manifest, read
 * @throws {EngineError | KeyError}
 */
export function verifyCopied(name: string, bytes: Uint8Array, where: string): Manifest | undefined {
  verifyContent(name, bytes, where);
  if (name === 'wrappings/first.json') decodeFirstWrappings(bytes);
  return name.startsWith('manifests/') ? decodeManifest(bytes, `${name} in ${where}`) : undefined;
}

/**
 * Puts what is the same whoever puts it: another who was faster put the same bytes.
 * @param name - inside its generation
 * @returns false where it was there
 */
export async function putCopied(to: ObjectStore, key: string, name: string, bytes: Uint8Array, options: Pick<PutOptions, 'signal' | 'retention' | 'ifAbsent'>): Promise<boolean> {
  const promised = promisedHash(name);
  try {
    await to.put(key, bytes, { ifAbsent: true, ...options, ...(promised === undefined ? {} : { sha256: Buffer.from(promised, 'hex') }) });
    return true;
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'AlreadyExists') throw error;
    return false;
  }
}

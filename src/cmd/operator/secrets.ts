import { PortError, type RawSecret, type SecretLookup } from '../../controller/index.ts';
import type { Informer } from '../../kube/index.ts';

/** Looks Secrets up in the watched ones of the operator's namespace. */
export function secretLookup(secrets: Pick<Informer<RawSecret>, 'get'>, namespace: string): SecretLookup {
  return (name) => {
    const data = secrets.get(name, namespace)?.data;
    if (data === undefined) return undefined;
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8').trim()]));
  };
}

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * An access key from a Secret.
 * @throws {PortError} `SecretMissing` or `SecretIncomplete`, naming the Secret and the key, never a value
 */
export function accessKeyOf(lookup: SecretLookup, name: string, namespace: string): AccessKey {
  const accessKeyId = valueOf(lookup, name, 'accessKeyId', namespace);
  const secretAccessKey = valueOf(lookup, name, 'secretAccessKey', namespace);
  return { accessKeyId, secretAccessKey };
}

/** @throws {PortError} as `accessKeyOf` */
export function valueOf(lookup: SecretLookup, name: string, key: string, namespace: string): string {
  const secret = lookup(name);
  if (secret === undefined) {
    throw new PortError('SecretMissing', `Secret ${name} does not exist in namespace ${namespace}. Create it with the key ${key}.`, { retryable: true });
  }
  const value = secret[key];
  if (!value) throw new PortError('SecretIncomplete', `Secret ${name} in namespace ${namespace} lacks the key ${key}. Add it.`, { retryable: true });
  return value;
}

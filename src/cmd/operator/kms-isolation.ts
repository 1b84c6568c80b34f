import { randomBytes } from 'node:crypto';
import type { BackupLocationSpec, KmsSettings, MoverCredentials } from '../../api/index.ts';
import type { Finding } from '../../controller/index.ts';
import { KeyError, openAwsKms, tenantContext } from '../../keys/index.ts';

/** No tenant has either: ids are random. A session is made for the first and tries the second. */
export const PROBE_TENANT = '0'.repeat(32);
const OTHER_TENANT = 'f'.repeat(32);
const PROBE_TIMEOUT_MS = 5000;

/** Which of a location's KMS this is. */
interface Side {
  readonly name: 'primary' | 'replica';
  readonly words: string;
  readonly kms: KmsSettings;
}

/**
 * Whether a mover can use the KMS keys for its own tenant only. That is tried: a session for one tenant wraps for another, which
 * an endpoint that does not enforce session policies lets it do.
 * @param minted the credentials of a mover of `PROBE_TENANT`; what kept them from being made where there are none
 * @param operatorCanUnwrap whether the operator's own principal may decrypt
 */
export async function keysIsolation(spec: BackupLocationSpec, minted: MoverCredentials | Finding, operatorCanUnwrap: boolean, signal: AbortSignal): Promise<Finding> {
  const sides: Side[] = [
    { name: 'primary', words: "this data center's", kms: spec.kms },
    ...(spec.replica === undefined ? [] : [{ name: 'replica' as const, words: "the second data center's", kms: spec.replica.kms }]),
  ];
  if (sides.some(({ kms }) => kms.provider === 'local')) {
    return { ok: false, reason: 'LocalKeys', message: 'The local key provider keeps the key in a Secret: whoever reads it reads every backup.' };
  }
  if (operatorCanUnwrap) {
    return {
      ok: false,
      reason: 'OperatorCanUnwrap',
      message: "The operator's own KMS credentials may decrypt; take Decrypt from that principal and name another one in moverCredentialsSecretRef.",
    };
  }
  for (const side of sides) {
    const found = await isolationOf(side, minted, signal);
    if (!found.ok) return found;
  }
  return { ok: true, message: "Movers get KMS sessions confined to their own tenant's encryption context." };
}

async function isolationOf({ name, words, kms }: Side, minted: MoverCredentials | Finding, signal: AbortSignal): Promise<Finding> {
  const { aws } = kms;
  if (aws?.sts === undefined) {
    return {
      ok: false,
      reason: 'KeysShared',
      message: `Movers share the credentials for ${words} KMS, so a mover could unwrap another tenant's key if it could read that tenant's prefix. Give aws.sts for sessions, where the KMS enforces them.`,
    };
  }
  if ('ok' in minted) return minted;
  const session = minted.kms[name];
  if (session === undefined || 'key' in session) return { ok: false, reason: 'KeysShared', message: `No session for ${words} KMS was made.` };
  const provider = openAwsKms({
    keyId: aws.keyId,
    region: aws.region,
    ...(aws.endpoint === undefined ? {} : { endpoint: aws.endpoint }),
    ...(aws.caBundle === undefined ? {} : { caBundle: aws.caBundle }),
    credentials: { accessKeyId: session.accessKeyId, secretAccessKey: session.secretAccessKey, ...(session.sessionToken === undefined ? {} : { sessionToken: session.sessionToken }) },
    connectTimeoutMs: PROBE_TIMEOUT_MS,
    idleTimeoutMs: PROBE_TIMEOUT_MS,
  });
  try {
    const own = await tried(() => provider.wrap(randomBytes(32), tenantContext(PROBE_TENANT, 1), signal));
    if (own !== undefined) return { ok: false, reason: own.code, message: `A session for ${words} KMS cannot wrap for its own tenant: ${own.message}` };
    const other = await tried(() => provider.wrap(randomBytes(32), tenantContext(OTHER_TENANT, 1), signal));
    if (other?.code === 'AccessDenied') return { ok: true, message: `Sessions for ${words} KMS reach their own tenant's context only.` };
    if (other !== undefined) return { ok: false, reason: other.code, message: `Whether ${words} KMS confines sessions could not be tried: ${other.message}` };
  } finally {
    provider.close();
  }
  return {
    ok: false,
    reason: 'SessionsNotEnforced',
    message: `${capitalized(words)} KMS let a session of one tenant wrap for another: it does not enforce session policies, so a mover could unwrap every tenant's key that it can read.`,
  };
}

async function tried(call: () => Promise<unknown>): Promise<KeyError | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    if (error instanceof KeyError && error.code !== 'Aborted') return error;
    throw error;
  }
}

function capitalized(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

import { UsageError } from './usage-error.ts';

/** What `--kms` says. */
export type KmsOption =
  | { readonly provider: 'aws'; readonly keyId: string; readonly endpoint?: string; readonly region?: string }
  | { readonly provider: 'local'; readonly path: string };

const FORMS = 'write --kms aws:KEY_ID[,endpoint=URL][,region=REGION] or --kms local:/path/to/keyfile';

/**
 * Reads one `--kms`. A key id may be an id, an ARN or `alias/…`; none of them holds a comma.
 * @throws {UsageError} naming the part that is wrong.
 */
export function parseKmsOption(text: string): KmsOption {
  const colon = text.indexOf(':');
  const provider = text.slice(0, Math.max(0, colon));
  const rest = text.slice(colon + 1);
  if (colon < 0 || rest === '') throw new UsageError(`--kms ${text}: this names no key; ${FORMS}`);
  if (provider === 'local') return { provider, path: rest };
  if (provider !== 'aws') throw new UsageError(`--kms ${text}: "${provider}" is no provider that is known; ${FORMS}`);
  const [keyId = '', ...parameters] = rest.split(',');
  if (keyId === '') throw new UsageError(`--kms ${text}: the key's id is missing; ${FORMS}`);
  return { provider, keyId, ...parametersOf(text, parameters) };
}

function parametersOf(text: string, parameters: readonly string[]): { endpoint?: string; region?: string } {
  const read: { endpoint?: string; region?: string } = {};
  for (const parameter of parameters) {
    const equals = parameter.indexOf('=');
    const name = parameter.slice(0, Math.max(0, equals));
    const value = parameter.slice(equals + 1);
    if ((name !== 'endpoint' && name !== 'region') || value === '') {
      throw new UsageError(`--kms ${text}: "${parameter}" is not understood; ${FORMS}`);
    }
    if (read[name] !== undefined) throw new UsageError(`--kms ${text}: "${name}" is given twice`);
    read[name] = value;
  }
  return read;
}

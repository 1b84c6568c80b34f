// A KMS and its STS whose certificate an authority of the platform's own has signed: how operator and movers reach them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BackupLocationSpec, CREDENTIALS_FILE, type BackupLocation, type MoverCredentials } from '../../src/api/index.ts';
import { RealCredentialMinter } from '../../src/cmd/operator/credential-minter.ts';
import { openKms } from '../../src/cmd/operator/location-access.ts';
import { kmsOrders } from '../../src/decide/index.ts';
import { tenantContext, type KmsProvider } from '../../src/keys/index.ts';
import { CredentialsFile } from '../../src/mover/credentials-file.ts';
import { openKmsProviders } from '../../src/mover/kms-providers.ts';
import { backupOrders, TENANT } from '../support/mover-orders.ts';
import { startWithOwnAuthority, type OwnAuthority } from '../support/own-authority.ts';

const ACCESS = { accessKeyId: 'a', secretAccessKey: 'b' };
const secrets = { lookup: () => ACCESS, namespace: 'system' };
const signal = new AbortController().signal;
const SESSION = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>session</AccessKeyId>
<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`;

let server: OwnAuthority;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'own-authority-'));
  await writeFile(join(folder, CREDENTIALS_FILE), JSON.stringify({ version: 1, s3: ACCESS, kms: { primary: ACCESS } } satisfies MoverCredentials));
  server = await startWithOwnAuthority((request, response) => {
    // Only the KMS is asked in JSON.
    if (request.headers['x-amz-target'] === undefined) response.writeHead(200, { 'content-type': 'text/xml' }).end(SESSION);
    else response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ CiphertextBlob: Buffer.from('wrapped').toString('base64'), KeyId: 'key' }));
  });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

function location(trust: object): BackupLocationSpec {
  const reference = { credentialsSecretRef: { name: 'x' } };
  return BackupLocationSpec.parse({
    s3: { bucket: 'first', sts: { mode: 'Disabled' }, ...reference },
    kms: { provider: 'aws', aws: { endpoint: server.endpoint, keyId: 'key', sts: { endpoint: server.endpoint }, ...trust, ...reference } },
  });
}

async function wraps(provider: KmsProvider): Promise<string> {
  try {
    return Buffer.from((await provider.wrap(new Uint8Array(32), tenantContext(TENANT, 1), signal)).ciphertext).toString();
  } finally {
    provider.close();
  }
}

describe('a KMS with a certificate of its own authority', () => {
  it('is reached by the operator with the caBundle of the location, which its error names', async () => {
    expect(await wraps(await openKms(location({ caBundle: server.caBundle }).kms, secrets, () => undefined))).toBe('wrapped');
    await expect(wraps(await openKms(location({}).kms, secrets, () => undefined))).rejects.toThrow(/not trusted.*caBundle of the location/);
  });

  it('is reached by movers, whose orders have it', async () => {
    const orders = backupOrders({ kms: kmsOrders(location({ caBundle: server.caBundle })) });
    const { all } = await openKmsProviders(orders, new CredentialsFile({ directory: folder, now: () => Date.now(), signal, onWaiting: () => undefined }), () => undefined);
    expect(await Promise.all(all.map(wraps))).toEqual(['wrapped']);
  });

  it('gives sessions through its STS, which is trusted in the same way', async () => {
    const minted = (trust: object) => new RealCredentialMinter(secrets).mint({ metadata: { name: 'here' }, spec: location(trust) } as BackupLocation, TENANT, signal);
    expect((await minted({ caBundle: server.caBundle })).credentials.kms).toMatchObject({ primary: { accessKeyId: 'session', sessionToken: 't' } });
    await expect(minted({})).rejects.toThrow(/no KMS session could be made.*not trusted/);
  });
});

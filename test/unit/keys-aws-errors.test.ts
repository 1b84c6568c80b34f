import { afterEach, describe, expect, it } from '@jest/globals';
import { openAwsKms, tenantContext } from '../../src/keys/index.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

const CONTEXT = tenantContext('a'.repeat(32), 1);
const CREDENTIALS = { accessKeyId: 'AKID', secretAccessKey: 'a-very-secret-key' };

describe('what the AWS KMS API refuses', () => {
  let stub: StubServer;
  afterEach(() => stub.stop());

  it.each([
    [400, 'AccessDeniedException', '', 'AccessDenied', false, 'key policy'],
    [400, 'DisabledException', '', 'KeyDisabled', false, 'enable it'],
    [400, 'KMSInvalidStateException', 'arn:… is pending deletion.', 'KeyPendingDeletion', false, 'cancel that at once'],
    [400, 'KMSInvalidStateException', 'arn:… is pending import.', 'KeyDisabled', false, 'state'],
    [400, 'NotFoundException', '', 'KeyNotFound', false, 'no such key'],
    [400, 'InvalidCiphertextException', '', 'WrongContext', false, 'another KMS key, tenant or generation'],
    [400, 'IncorrectKeyException', '', 'WrongContext', false, 'another KMS key'],
    [400, 'UnrecognizedClientException', '', 'BadCredentials', false, 'access key or the secret key'],
    [400, 'ExpiredTokenException', '', 'ExpiredCredentials', true, 'expired'],
    [400, 'ThrottlingException', '', 'Throttled', true, 'slow down'],
    [500, 'KMSInternalException', '', 'Unavailable', true, 'failure of its own'],
    [503, 'Whatever', '', 'Unavailable', true, 'failure of its own'],
    [403, 'Whatever', '', 'AccessDenied', false, 'refuses this principal'],
    [400, 'SomethingNew', 'new words', 'Unexpected', false, 'new words'],
  ])('%i %s %s becomes %s', async (status, type, words, code, retryable, message) => {
    stub = await startStub((_, response) => {
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ __type: type, message: words }));
    });
    const kms = openAwsKms({ keyId: 'the-key', endpoint: stub.endpoint, region: 'eu', credentials: CREDENTIALS });

    const refused = kms.unwrap(new Uint8Array(32), CONTEXT);
    await expect(refused).rejects.toMatchObject({ name: 'KeyError', code, retryable, message: expect.stringContaining(message) });
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining('the-key') });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(CREDENTIALS.secretAccessKey) });
    kms.close();
  });

  it('is no KMS when what answers is no JSON', async () => {
    stub = await startStub((_, response) => response.writeHead(400).end('<?xml version="1.0"?><Error/>'));
    const kms = openAwsKms({ keyId: 'the-key', endpoint: stub.endpoint, region: 'eu', credentials: CREDENTIALS });
    await expect(kms.unwrap(new Uint8Array(32), CONTEXT)).rejects.toMatchObject({ code: 'Unavailable', message: expect.stringContaining('address of the KMS API') });
    kms.close();
  });

  it('an expired session is renewed once, from the function that gives the credentials', async () => {
    const seen: (string | undefined)[] = [];
    stub = await startStub((request, response) => {
      seen.push(/Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1]);
      const fresh = seen.at(-1) === 'AKID2';
      const answer = fresh ? { Plaintext: Buffer.alloc(32, 7).toString('base64') } : { __type: 'ExpiredTokenException' };
      response.writeHead(fresh ? 200 : 400, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer));
    });
    let asked = 0;
    const kms = openAwsKms({
      keyId: 'k',
      endpoint: stub.endpoint,
      region: 'eu',
      credentials: () => Promise.resolve({ ...CREDENTIALS, accessKeyId: `AKID${(asked += 1)}` }),
    });

    expect(Buffer.from(await kms.unwrap(new Uint8Array(32), CONTEXT))).toEqual(Buffer.alloc(32, 7));
    expect(seen).toEqual(['AKID1', 'AKID2']);
    kms.close();
  });

  it('what the function that gives the credentials says comes through in its own words', async () => {
    stub = await startStub(() => undefined);
    class Renewal extends Error {
      readonly code = 'CredentialsNotRenewed';
      readonly retryable = true;
    }
    const kms = openAwsKms({ keyId: 'k', endpoint: stub.endpoint, region: 'eu', credentials: () => Promise.reject(new Renewal('nobody renewed the session')) });
    await expect(kms.unwrap(new Uint8Array(32), CONTEXT)).rejects.toMatchObject({ code: 'CredentialsNotRenewed', message: 'nobody renewed the session' });
    expect(stub.requests).toEqual([]);
    kms.close();
  });
});

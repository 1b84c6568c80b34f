// When movers and workers get the bucket's own credentials in place of a session: one rule for both.
import { describe, expect, it } from '@jest/globals';
import type { BackupLocation } from '../../src/api/index.ts';
import { RealCredentialMinter } from '../../src/cmd/operator/credential-minter.ts';
import { RealReplicationAccess } from '../../src/cmd/operator/replication-access.ts';
import { startStub } from '../support/stub-server.ts';

const OWN = { accessKeyId: 'own', secretAccessKey: 'secret', key: 'tbkk1' };
const secrets = { lookup: () => OWN, namespace: 'default' };

function location(endpoint: string | undefined, mode: string): BackupLocation {
  const bucket = { bucket: 'b', prefix: '', region: 'us-east-1', forcePathStyle: true, credentialsSecretRef: { name: 's3' }, sts: { mode, sessionDuration: '1h' }, ...(endpoint === undefined ? {} : { endpoint }) };
  const replica = { mode: 'Push', s3: bucket, kms: { provider: 'local', local: { secretRef: { name: 'key' } } }, objectLock: {}, replication: { serverSideCopy: false } };
  return { metadata: { name: 'here' }, spec: { s3: bucket, kms: { provider: 'local', local: { secretRef: { name: 'key' } } }, replica } } as unknown as BackupLocation;
}

async function outcome(credentials: () => Promise<{ readonly accessKeyId: string }>): Promise<string> {
  try {
    return (await credentials()).accessKeyId;
  } catch (error) {
    const { reason, retryable, message } = error as { readonly reason: string; readonly retryable: boolean; readonly message: string };
    return `${reason} ${retryable ? 'retryable' : message.includes('sts.mode: Disabled') ? 'final, with advice' : 'final'}`;
  }
}

async function ofBoth(at: BackupLocation): Promise<{ readonly mover: string; readonly workers: string }> {
  const signal = AbortSignal.timeout(30_000);
  const mover = await outcome(async () => (await new RealCredentialMinter(secrets).mint(at, 'a'.repeat(32), signal)).credentials.s3);
  const workers = await outcome(async () => (await new RealReplicationAccess(secrets).credentials(at, 'replicate', signal)).files['source.json']?.s3 ?? { accessKeyId: 'none' });
  return { mover, workers };
}

const both = (what: string) => ({ mover: what, workers: what });

describe('credentials of movers and workers', () => {
  it.each<[number, string, string, string]>([
    [501, '', 'Auto', 'own'],
    [405, '', 'Auto', 'own'],
    [405, '', 'Required', 'Unsupported final, with advice'],
    [403, 'AccessDenied', 'Auto', 'AccessDenied final, with advice'],
    [403, 'AccessDenied', 'Disabled', 'own'],
    [503, 'ServiceUnavailable', 'Auto', 'Throttled retryable'],
  ])('where the STS answers %d %s and sts.mode is %s: %s', async (status, code, mode, what) => {
    const sts = await startStub((_, response) => {
      response.writeHead(status, { 'content-type': 'text/xml' });
      response.end(`<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`);
    });
    try {
      expect(await ofBoth(location(sts.endpoint, mode))).toEqual(both(what));
    } finally {
      await sts.stop();
    }
  });

  it('are the bucket\'s own at AWS, where no role is named to assume', async () => {
    expect(await ofBoth(location(undefined, 'Auto'))).toEqual(both('own'));
  });
});

// What a real API server takes and refuses of a BackupLocation that names a second data center.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BackupLocation } from '../../src/api/index.ts';
import { ResourceClient, resourceTypes } from '../../src/kube/index.ts';
import { ApiServer } from '../support/api-server.ts';
import { installCrds } from '../support/installed-crds.ts';

let api: ApiServer;
let locations: ResourceClient<BackupLocation>;
let count = 0;

beforeAll(async () => {
  api = await ApiServer.start();
  await installCrds(api.connect());
  locations = new ResourceClient<BackupLocation>(api.connect(), resourceTypes.backupLocations);
}, 90_000);
afterAll(() => api.stop());

const secret = (name: string) => ({ name });
const bucket = (name: string) => ({ bucket: name, endpoint: `https://${name}.example.com`, credentialsSecretRef: secret(name) });
const kms = { provider: 'local', local: { secretRef: secret('key') } };
const pushed = (changed: object = {}) => ({ kms, s3: bucket('second'), probeCredentialsSecretRef: secret('probe'), ...changed });
const spec = (changed: object = {}) => ({ s3: bucket('first'), kms, ...changed });

function create(given: object): Promise<BackupLocation> {
  return locations.create({ apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupLocation', metadata: { name: `l${count++}` }, spec: given });
}

describe('a second data center', () => {
  it('gets a lock of 30 days that nobody can lift, copied to every night, where nothing else is said', async () => {
    const { spec: made } = await create(spec({ replica: pushed() }));
    expect(made.replica).toMatchObject({
      mode: 'Push',
      objectLock: { mode: 'Compliance', retainFor: '30d' },
      replication: { schedule: '0 4 * * *', timeZone: 'UTC', window: '6h', suspend: false, maxLag: '32h', shards: 1, concurrency: 32 },
    });
    expect(made.recover).toBe(false);
  });

  it.each<[string, object]>([
    ['keys alone, as before', { replica: { kms } }],
    ['a pull by the other side', { replica: { kms, mode: 'Pull' } }],
    ['the other side of it', { pull: { from: bucket('first-read'), probeCredentialsSecretRef: secret('probe') } }],
    ['a retention of seconds', { replica: pushed({ objectLock: { retainFor: '20s' } }) }],
    ['a retention of a year', { replica: pushed({ objectLock: { retainFor: '365d' } }) }],
    ['more than a year, confirmed', { replica: pushed({ objectLock: { retainFor: '3650d', confirmRetainFor: '3650d' } }) }],
    ['a recovery', { recover: true }],
    ['a copy by the service that has both buckets', { replica: pushed({ s3: { ...bucket('second'), endpoint: bucket('first').endpoint }, replication: { serverSideCopy: true } }) }],
    ['the same name of a bucket at another service', { replica: pushed({ s3: { ...bucket('first'), endpoint: 'https://elsewhere.example.com' } }) }],
  ])('may be %s', async (_, changed) => {
    await expect(create(spec(changed))).resolves.toMatchObject({ spec: changed });
  });

  it.each<[string, object, string]>([
    ['a retention above a year', { replica: pushed({ objectLock: { retainFor: '366d' } }) }, 'repeat it in confirmRetainFor'],
    ['a retention above a year in hours', { replica: pushed({ objectLock: { retainFor: '8761h' } }) }, 'repeat it in confirmRetainFor'],
    ['a retention above a year by a second', { replica: pushed({ objectLock: { retainFor: '365d1s' } }) }, 'repeat it in confirmRetainFor'],
    ['another confirmation', { replica: pushed({ objectLock: { retainFor: '400d', confirmRetainFor: '400h' } }) }, 'repeat it in confirmRetainFor'],
    ['no retention at all', { replica: pushed({ objectLock: { retainFor: '0s' } }) }, 'must be a duration above zero'],
    ['no proof of the lock', { replica: { kms, s3: bucket('second') } }, 'give probeCredentialsSecretRef'],
    ['credentials of the second data center beside a pull', { replica: pushed({ mode: 'Pull' }) }, 'leave s3 out'],
    ['both ends at once', { replica: { kms }, pull: { from: bucket('other'), probeCredentialsSecretRef: secret('probe') } }, 'give either replica'],
    ['the first bucket once more', { replica: pushed({ s3: bucket('first') }) }, 'must be another bucket'],
    ['a recovery that is copied on', { recover: true, replica: pushed() }, 'leave replica.s3 out'],
    ['a copy by the service out of another one', { replica: pushed({ s3: { ...bucket('second'), endpoint: 'https://elsewhere.example.com' }, replication: { serverSideCopy: true } }) }, 'both buckets at one endpoint'],
    ['the same the other way round', { pull: { from: { ...bucket('other'), endpoint: 'https://elsewhere.example.com' }, probeCredentialsSecretRef: secret('probe'), replication: { serverSideCopy: true } } }, 'both buckets at one endpoint'],
    ['an impossible schedule', { replica: pushed({ replication: { schedule: 'at four' } }) }, 'spec.replica.replication.schedule'],
    ['no such time zone', { replica: pushed({ replication: { timeZone: 'Europe/Nowhere' } }) }, 'must be a time zone'],
  ])('is refused with %s', async (_, changed, message) => {
    await expect(create(spec(changed))).rejects.toThrow(message);
  });
});

import { describe, expect, it } from '@jest/globals';
import { BackupLocationSpec, type BackupLocation } from '../../src/api/index.ts';
import { replicaView } from '../../src/decide/index.ts';
import { kmsSecrets, restoreOrders } from '../../src/decide/orders.ts';

const s3 = (bucket: string) => ({ bucket, endpoint: `https://${bucket}.example.com`, credentialsSecretRef: { name: `${bucket}-s3` } });
const aws = (name: string, mover = true) => ({ provider: 'aws', aws: { endpoint: `https://${name}.example.com`, keyId: name, credentialsSecretRef: { name: `${name}-operator` }, ...(mover ? { moverCredentialsSecretRef: { name: `${name}-mover` } } : {}) } });

function location(replica: object | undefined, ready = 'False'): BackupLocation {
  const spec = BackupLocationSpec.parse({ s3: s3('first'), kms: aws('kms-a'), ...(replica === undefined ? {} : { replica }) });
  const status = { conditions: [{ type: 'Ready', status: ready, reason: 'Unavailable', message: 'It is off.', lastTransitionTime: '2026-03-01T00:00:00Z' }] };
  return { metadata: { name: 'here', creationTimestamp: '2026-03-01T00:00:00Z' }, spec, status } as unknown as BackupLocation;
}

describe('a restore from the second data center', () => {
  it('needs nothing of the first, which may be off', () => {
    const view = replicaView(location({ kms: aws('kms-b'), s3: s3('second'), probeCredentialsSecretRef: { name: 'probe' } }));
    if (!view.ok) throw new Error(view.message);
    const orders = restoreOrders({
      attempt: { name: 'a', number: 1, uid: 'u' },
      tenant: { id: '0'.repeat(32), generation: 1 },
      location: view.location.spec,
      deadAttempts: [],
      claims: ['data'],
      snapshotId: 'a'.repeat(64),
      includes: [],
      excludes: [],
      deleteExtra: true,
    });
    expect(orders).toMatchObject({ storage: { bucket: 'second', isReplica: true }, kms: [{ provider: 'aws', keyId: 'kms-b', use: 'wrapAndUnwrap' }] });
    expect(JSON.stringify([orders, kmsSecrets(view.location.spec)])).not.toMatch(/first|kms-a/);
    expect(kmsSecrets(view.location.spec)).toEqual({ primary: { secret: 'kms-b-mover', provider: 'aws' } });
    expect(view.location.status?.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'True' });
  });

  it.each<[string, object | undefined, string]>([
    ['there is no second data center', undefined, 'NoReplica'],
    ['it has no bucket here', { kms: aws('kms-b') }, 'NoReplica'],
    ['its key cannot be used to decrypt', { kms: aws('kms-b', false), s3: s3('second'), probeCredentialsSecretRef: { name: 'probe' } }, 'ReplicaKeyClosed'],
  ])('is refused when %s', (_, replica, reason) => {
    expect(replicaView(location(replica))).toMatchObject({ ok: false, reason });
  });

  it('reads the first data center as it is, where nobody asks for the second', () => {
    const { spec } = location(undefined);
    const input = { attempt: { name: 'a', number: 1, uid: 'u' }, tenant: { id: '0'.repeat(32), generation: 1 }, location: spec, deadAttempts: [], claims: ['data'], snapshotId: 'a'.repeat(64), includes: [], excludes: [], deleteExtra: true };
    expect(restoreOrders(input).storage).not.toHaveProperty('isReplica');
    expect(restoreOrders({ ...input, location: { ...spec, recover: true } }).storage).toMatchObject({ isReplica: true });
  });
});

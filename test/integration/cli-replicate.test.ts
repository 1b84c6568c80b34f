import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { runProcess } from '../support/program.ts';
import { FakeTenant, keysOf } from '../support/replicated-tenant.ts';
import { startS3, type S3Service } from '../support/services.ts';

describe('replicate and collect', () => {
  let service: S3Service;
  let source: ObjectStore;
  let tenant: FakeTenant;
  const url = (prefix: string) => `s3://${service.bucket}/${prefix}?endpoint=${service.endpoint}&region=${service.region}`;
  const run = async (...args: string[]) => {
    const { status, stdout, stderr } = await runProcess([...args, '--json'], { env: { AWS_ACCESS_KEY_ID: service.accessKeyId, AWS_SECRET_ACCESS_KEY: service.secretAccessKey } });
    return { status, summary: JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as unknown, stderr };
  };
  const replicate = (...more: string[]) => run('replicate', '--from', url('from'), '--to', url('to'), '--lock', 'compliance', '--retain-for', '600s', ...more);

  beforeAll(async () => {
    service = await startS3({ objectLock: true });
    source = await openStore(url('from'), { s3: { credentials: { accessKeyId: service.accessKeyId, secretAccessKey: service.secretAccessKey } } });
    tenant = await new FakeTenant(source, () => new Date()).begin();
    await tenant.backup();
  }, 60_000);
  afterAll(async () => {
    await source.close();
    await service.stop();
  });

  it('copies, finds nothing to do, removes nothing that is needed, and tells of a source that lost something', async () => {
    expect(await replicate()).toMatchObject({ status: 0, summary: { command: 'replicate', done: 1, findings: 0, objects: (await tenant.keys()).length } });
    expect(await replicate()).toMatchObject({ status: 0, summary: { done: 1, objects: 0, extended: 0 } });
    expect(await run('collect', '--repository', url('to'), '--retain-for', '600s')).toMatchObject({ status: 0, summary: { command: 'collect', dryRun: false, collected: 0 } });

    for (const key of await keysOf(source)) await source.delete(key);

    const lost = await replicate();
    expect(lost).toMatchObject({ status: 6, summary: { diverged: 1, objects: 0 } });
    expect(lost.stderr + JSON.stringify(lost.summary)).toMatch(/Missing|findings/);
    expect(await replicate('--released', tenant.id)).toMatchObject({ status: 0, summary: { done: 1, findings: 0 } });
  }, 60_000);

  it('says that a directory holds no locks', async () => {
    const { status, stderr } = await runProcess(['replicate', '--from', 'file:///tmp', '--to', 'file:///tmp', '--lock', 'compliance', '--retain-for', '600s']);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('needs a bucket with Object Lock') });
  });
});

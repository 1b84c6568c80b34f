import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';

const SOURCES = join(import.meta.dirname, '../../src');

it('neither storage nor keys load an AWS SDK before something needs it', async () => {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ resolve: (name, context, next) => { const found = next(name, context); loaded.push(found.url); return found; } });
    const { openStore } = await import('${SOURCES}/storage/index.ts');
    const { openAwsKms } = await import('${SOURCES}/keys/index.ts');
    await openStore('file:///tmp/none');
    openAwsKms({ keyId: 'k' });
    const before = loaded.filter((url) => /@aws-sdk|@smithy/.test(url)).length;
    await openStore('s3://bucket?region=eu');
    console.log(JSON.stringify([before, loaded.some((url) => url.includes('@aws-sdk/client-s3'))]));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  expect(JSON.parse(stdout)).toEqual([0, true]);
});

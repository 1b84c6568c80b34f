import { describe, expect, it } from '@jest/globals';
import type { TenantRecord } from '../../src/api/index.ts';
import { openRecord, sealRecord } from '../../src/audit/index.ts';
import { canonicalJson } from '../../src/storage/index.ts';
import { freshSigner } from '../support/audit-trail.ts';

const signer = freshSigner();
const RECORD: TenantRecord = {
  version: 2,
  rev: 3,
  tenant: 'a'.repeat(32),
  namespace: 'shop',
  keyGeneration: 1,
  policies: [{ name: 'daily', spec: { volumes: ['data'], hooks: { pre: [{ command: ['fsfreeze'] }] } } }],
  backups: [],
};
const text = Buffer.from(sealRecord(RECORD, signer)).toString();
const opened = (json: string) => openRecord(Buffer.from(json));

describe('the seal of a tenant\'s record', () => {
  it('says who wrote it', () => {
    expect(opened(text)).toEqual({ record: RECORD, sealedBy: signer.publicKey, digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it.each<[string, string]>([
    ['a hook is another command', text.replace('fsfreeze', 'rm -rf /')],
    ['it is another revision', text.replace('"rev":3', '"rev":4')],
    ['it is another tenant\'s', text.replace(/a{32}/, 'b'.repeat(32))],
    ['something was added that nobody knows', text.replace('{', '{"added":1,')],
    ['it names another key', text.replace(signer.publicKey, freshSigner().publicKey)],
    ['its signature is that of another record', text.replace(/"signature":"[^"]+"/, /"signature":"[^"]+"/.exec(Buffer.from(sealRecord({ ...RECORD, rev: 1 }, signer)).toString())?.[0] ?? '')],
    ['its signature is gone', text.replace(/,"signature":"[^"]+"/, '')],
    ['it never had one', Buffer.from(canonicalJson(RECORD)).toString()],
  ])('fits no more where %s', (_, altered) => {
    expect(altered).not.toBe(text);
    expect(opened(altered)?.sealedBy).toBeUndefined();
  });

  it('is no record where it is something else', () => {
    expect(opened('encrypted, pay me')).toBeUndefined();
    expect(opened('{"version":1,"rev":1}')).toBeUndefined();
  });
});

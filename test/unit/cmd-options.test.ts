import { describe, expect, it } from '@jest/globals';
import { parseKmsOption } from '../../src/cmd/kms-option.ts';

describe('--kms', () => {
  it.each([
    ['aws:alias/backups', { provider: 'aws', keyId: 'alias/backups' }],
    ['aws:arn:aws:kms:eu-central-1:1:key/2', { provider: 'aws', keyId: 'arn:aws:kms:eu-central-1:1:key/2' }],
    ['aws:1,endpoint=http://[::1]:5000,region=eu-1', { provider: 'aws', keyId: '1', endpoint: 'http://[::1]:5000', region: 'eu-1' }],
    ['local:/etc/key,file', { provider: 'local', path: '/etc/key,file' }],
  ])('%s is understood', (text, option) => expect(parseKmsOption(text)).toEqual(option));

  it.each([
    ['', /names no key/],
    ['aws:', /names no key/],
    ['aws:,region=x', /id is missing/],
    ['azure:key', /"azure" is no provider/],
    ['aws:1,zone=2', /"zone=2" is not understood/],
    ['aws:1,region', /"region" is not understood/],
    ['aws:1,region=a,region=b', /given twice/],
  ])('%s is refused', (text, message) => expect(() => parseKmsOption(text)).toThrow(message));
});

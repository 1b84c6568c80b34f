import { describe, expect, it } from '@jest/globals';
import { EXIT, exitStatusOf } from '../../src/cmd/exit-status.ts';
import { UsageError } from '../../src/cmd/usage-error.ts';
import { KeyError } from '../../src/keys/index.ts';
import { MoverError } from '../../src/mover/errors.ts';
import { failureOf } from '../../src/mover/failure.ts';
import { EngineError } from '../../src/restic/errors.ts';
import { StorageError } from '../../src/storage/index.ts';

const storage = (code: ConstructorParameters<typeof StorageError>[0], retryable = false) => new StorageError(code, 'words', { retryable });

describe('what the operator is told of a failure', () => {
  it.each([
    [new EngineError('Locked', 'words'), 'Locked', true],
    [new EngineError('WrongKey', 'words'), 'WrongKey', false],
    [new EngineError('Unexpected', 'words', { retryable: true }), 'Unexpected', true],
    [storage('Unavailable', true), 'Unavailable', true],
    [storage('BucketMissing'), 'BucketMissing', false],
    // An object under retention is no lock that somebody lets go.
    [storage('Locked'), 'Locked', false],
    [new KeyError('WrongTenant', 'words'), 'WrongTenant', false],
    [new KeyError('Throttled', 'words'), 'Throttled', true],
    [new MoverError('CredentialsNotRenewed', 'words', { retryable: true }), 'CredentialsNotRenewed', true],
  ])('%s', (error, code, retryable) => {
    expect(failureOf(error)).toEqual({ code, message: 'words', retryable });
  });

  it('is that the pod was told to stop, whatever broke because of it', () => {
    const stop = new AbortController();
    stop.abort('SIGTERM');

    expect(failureOf(new Error('socket hang up'), stop.signal)).toMatchObject({ code: 'Aborted', message: expect.stringContaining('SIGTERM'), retryable: true });
  });

  it('calls a stranger a bug and does not try it again', () => {
    expect(failureOf(new TypeError('x is not a function'))).toMatchObject({ code: 'Unexpected', message: expect.stringMatching(/TypeError: x is not a function.*bug/), retryable: false });
    expect(failureOf(Object.assign(new Error('no such file'), { code: 'ENOENT' }))).toMatchObject({ code: 'Unexpected' });
  });

  it('cannot break a line of a status', () => {
    expect(failureOf(new EngineError('Damaged', 'evil\nname\u001b[2J')).message).toBe('evil\\x0aname\\x1b[2J');
  });
});

describe('exit statuses', () => {
  it.each([
    [new UsageError('words'), EXIT.usage],
    [storage('InvalidUrl'), EXIT.usage],
    [new EngineError('Locked', 'words'), EXIT.locked],
    [storage('Locked'), EXIT.failed],
    [new EngineError('WrongKey', 'words'), EXIT.wrongKey],
    [new KeyError('WrongContext', 'words'), EXIT.wrongKey],
    [new EngineError('Damaged', 'words'), EXIT.damaged],
    [new TypeError('words'), EXIT.failed],
    ['words', EXIT.failed],
  ])('%s', (error, status) => {
    expect(exitStatusOf(error)).toBe(status);
  });
});

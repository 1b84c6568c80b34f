// Opens the repository as a customer could who holds the secret key: with Debian's restic, on the objects as they lie in
// S3. The key comes from the KMS and goes to restic through a pipe; it is never on disk, in an argument or in the environment.
import { run } from '../../ground/run.ts';

export interface ResticTarget {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Runs one restic command on the repository and returns what it printed. */
export function restic(target: ResticTarget, key: Uint8Array, args: readonly string[]): Promise<string> {
  // The shell's `|` is a real pipe; what Node gives a child is a socket, which restic could not open by name.
  const script = 'cat | restic --no-cache --password-file /dev/stdin "$@"';
  return run('sh', ['-c', script, 'restic', '-r', `s3:${target.endpoint}/${target.bucket}/${target.prefix}`, ...args], {
    input: key,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      AWS_ACCESS_KEY_ID: target.accessKeyId,
      AWS_SECRET_ACCESS_KEY: target.secretAccessKey,
      AWS_DEFAULT_REGION: target.region,
    },
  });
}

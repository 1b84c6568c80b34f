// A Docker daemon for the length of one build: the machine's own where one answers, else Debian's, started by hand in
// namespaces that take every process and mount of it along when they end.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, until } from './run.ts';

export type Docker = (args: readonly string[]) => Promise<string>;

/**
 * Gives `work` a Docker client.
 * @param data - where a daemon of our own keeps images and the build's cache; one at a time uses it.
 */
export async function withDocker<T>(data: string, work: (docker: Docker) => Promise<T>): Promise<T> {
  const own: Docker = (args) => run('docker', args, { env: { ...process.env, DOCKER_BUILDKIT: '0' } });
  if (await answers(own)) return work(own);
  await mkdir(data, { recursive: true });
  const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-docker-'));
  const socket = `unix://${join(folder, 'docker.sock')}`;
  const daemon = spawn(
    'unshare',
    [
      '--mount', '--propagation', 'slave', '--pid', '--fork', '--kill-child', '--mount-proc', '--',
      'dockerd', '--host', socket, '--data-root', data, '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid'),
      '--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false', '--log-level=warn',
    ],
    { stdio: 'ignore' },
  );
  const kill = (): void => void daemon.kill('SIGKILL');
  process.once('exit', kill);
  try {
    const docker: Docker = (args) => run('docker', ['--host', socket, ...args], { env: { ...process.env, DOCKER_BUILDKIT: '0' } });
    await until('a Docker daemon of our own', 30, () => answers(docker));
    return await work(docker);
  } finally {
    process.off('exit', kill);
    const ended = new Promise((resolve) => daemon.once('close', resolve));
    kill();
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

async function answers(docker: Docker): Promise<boolean> {
  return docker(['info', '--format', '{{.ID}}']).then(
    (id) => id.trim() !== '',
    () => false,
  );
}

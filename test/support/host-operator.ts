// The operator as a process of this machine instead of a pod, so that a test can kill it at a moment of its choice. It has the
// rights of the chart's service account and nothing more.
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SYSTEM_NAMESPACE, environment, getObject, kubectl, waitFor } from './cluster.ts';

const DEPLOYMENT = 'tenant-backup';
/** One for all runs: the same replica, started anew, leads again at once. */
const IDENTITY = 'killed-operator';
const PROGRAM = join(import.meta.dirname, '../../dist/main.mjs');

interface DeploymentLike {
  readonly spec: { readonly replicas: number };
  readonly status?: { readonly replicas?: number };
}

/** Stops the chart's operator; the answer starts it again. */
export async function stopChartOperator(): Promise<() => Promise<void>> {
  const deployment = await getObject<DeploymentLike>('deployment', DEPLOYMENT, SYSTEM_NAMESPACE);
  if (deployment === undefined) throw new Error(`the chart is not installed: no deployment ${DEPLOYMENT} in ${SYSTEM_NAMESPACE}`);
  const scale = (replicas: number): Promise<string> => kubectl(['-n', SYSTEM_NAMESPACE, 'scale', 'deployment', DEPLOYMENT, `--replicas=${replicas}`]);
  await scale(0);
  await waitFor('the chart\'s operator to stop', 60, async () => (await kubectl(['-n', SYSTEM_NAMESPACE, 'get', 'pods', '-l', 'app.kubernetes.io/component=operator', '-o', 'name'])) === '');
  return async () => {
    await scale(deployment.spec.replicas);
    await kubectl(['-n', SYSTEM_NAMESPACE, 'rollout', 'status', 'deployment', DEPLOYMENT, '--timeout=60s']);
  };
}

export class HostOperator {
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param server - URL under which it finds the API server */
  static async prepare(server: string): Promise<HostOperator> {
    const directory = await mkdtemp(join(tmpdir(), 'host-operator-'));
    const token = await kubectl(['-n', SYSTEM_NAMESPACE, 'create', 'token', DEPLOYMENT, '--duration=2h']);
    const file = join(directory, 'kubeconfig');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      // The client takes plain HTTP only where verification is off; it goes no further than the loopback address.
      clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    await chmod(file, 0o600);
    return new HostOperator(directory);
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(): void {
    const { PATH, HOME } = process.env;
    const args = ['operator', '--mover-image', environment()['IMAGE'] ?? '', '--kubeconfig', join(this.#directory, 'kubeconfig'), '--lease-name', 'killed-operator', '--health-port', '0', '--metrics-port', '0'];
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { PATH, HOME, POD_NAME: IDENTITY, POD_NAMESPACE: SYSTEM_NAMESPACE },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(join(this.#directory, 'log'), { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('close', () => {
      log.end();
      resolve();
    }));
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Ends it in good order. */
  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM');
    await this.#ended;
  }

  async ended(): Promise<void> {
    await this.#ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

// A real etcd and kube-apiserver on free loopback ports, for tests that need the API and nothing that runs in it.
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { openSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeConnection } from '../../src/kube/index.ts';
import { ended, freePort } from './loopback-process.ts';
import { kubernetesPrograms, type KubernetesProgram } from '../ground/binaries.ts';

const READY_MS = 60_000;

export class ApiServer {
  readonly #programs: (name: KubernetesProgram) => string;
  readonly #folder: string;
  readonly #port: number;
  readonly #etcdPort: number;
  readonly #token = randomBytes(16).toString('hex');
  readonly #connections: KubeConnection[] = [];
  readonly #running = new Map<KubernetesProgram, ChildProcess>();

  private constructor(programs: (name: KubernetesProgram) => string, folder: string, ports: readonly [number, number]) {
    this.#programs = programs;
    this.#folder = folder;
    [this.#port, this.#etcdPort] = ports;
  }

  /** Starts both, and waits until the API server is ready. */
  static async start(): Promise<ApiServer> {
    const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-api-'));
    const server = new ApiServer(await kubernetesPrograms(), folder, [await freePort(), await freePort()]);
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    await writeFile(join(folder, 'accounts.key'), privateKey, { mode: 0o600 });
    await writeFile(join(folder, 'accounts.pub'), publicKey);
    await writeFile(join(folder, 'tokens.csv'), `${server.#token},test,test,system:masters\n`, { mode: 0o600 });
    try {
      server.#startEtcd(await freePort());
      await server.startApi();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** A connection of its own, as another operator would have; closed with the server. */
  connect(): KubeConnection {
    const config = new KubeConfig();
    config.loadFromOptions({
      // The server signs its certificate itself and anew at each start; it is on this machine.
      clusters: [{ name: 'test', server: `https://127.0.0.1:${this.#port}`, skipTLSVerify: true }],
      users: [{ name: 'test', token: this.#token }],
      contexts: [{ name: 'test', cluster: 'test', user: 'test' }],
      currentContext: 'test',
    });
    const connection = new KubeConnection(config);
    this.#connections.push(connection);
    return connection;
  }

  /** Kills the API server alone; etcd keeps what it knows. */
  async killApi(): Promise<void> {
    await this.#end('kube-apiserver');
  }

  async startApi(): Promise<void> {
    const at = (name: string): string => join(this.#folder, name);
    this.#start('kube-apiserver', {
      'etcd-servers': `http://127.0.0.1:${this.#etcdPort}`,
      'bind-address': '127.0.0.1',
      'secure-port': this.#port,
      'cert-dir': at('certificates'),
      'token-auth-file': at('tokens.csv'),
      'authorization-mode': 'RBAC',
      'disable-admission-plugins': 'ServiceAccount',
      'service-cluster-ip-range': '10.250.0.0/24',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': at('accounts.pub'),
      'service-account-signing-key-file': at('accounts.key'),
    });
    const connection = this.connect();
    const end = Date.now() + READY_MS;
    for (;;) {
      try {
        await connection.request('GET', '/api/v1/namespaces/default');
        return;
      } catch (error) {
        if (Date.now() > end) throw new Error(`the API server is not ready: ${await this.#logEnd()}`, { cause: error });
        await sleep(100);
      }
    }
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    await this.#end('kube-apiserver');
    await this.#end('etcd');
    await rm(this.#folder, { recursive: true, force: true });
  }

  #startEtcd(peerPort: number): void {
    const url = `http://127.0.0.1:${this.#etcdPort}`;
    this.#start('etcd', {
      'data-dir': join(this.#folder, 'etcd'),
      'listen-client-urls': url,
      'advertise-client-urls': url,
      'listen-peer-urls': `http://127.0.0.1:${peerPort}`,
      'unsafe-no-fsync': true,
      'log-level': 'warn',
    });
  }

  #start(name: KubernetesProgram, flags: Readonly<Record<string, string | number | boolean>>): void {
    const log = openSync(join(this.#folder, `${name}.log`), 'a');
    const child = spawn(this.#programs(name), Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`), {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#running.set(name, child);
    process.once('exit', () => child.kill('SIGKILL'));
  }

  async #end(name: KubernetesProgram): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child !== undefined) await ended(child);
  }

  async #logEnd(): Promise<string> {
    return (await readFile(join(this.#folder, 'kube-apiserver.log'), 'utf8').catch(() => '')).slice(-2000);
  }
}

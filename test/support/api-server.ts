// A real etcd and kube-apiserver on free loopback ports, for tests that need the API; with controllers where they ask for them.
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
/** Sees everything, and is told apart from all others in audit records. */
const ADMIN = 'test';

type Flags = Readonly<Record<string, string | number | boolean>>;

export interface ApiServerOptions {
  /** Beside our own, for the API server. `{folder}` in a value is where its files lie. */
  readonly flags?: Flags;
  /** Further users by name, with their groups. They may nothing until somebody binds them to a role. */
  readonly users?: Readonly<Record<string, readonly string[]>>;
  /** Files to lay into its folder before it starts. */
  readonly files?: Readonly<Record<string, string>>;
}

export class ApiServer {
  readonly #programs: (name: KubernetesProgram) => string;
  readonly #folder: string;
  readonly #port: number;
  readonly #etcdPort: number;
  readonly #flags: Flags;
  readonly #tokens: ReadonlyMap<string, { readonly token: string; readonly groups: readonly string[] }>;
  readonly #connections: KubeConnection[] = [];
  readonly #running = new Map<KubernetesProgram, ChildProcess>();

  private constructor(programs: (name: KubernetesProgram) => string, folder: string, ports: readonly [number, number], { flags = {}, users = {} }: ApiServerOptions) {
    this.#programs = programs;
    this.#folder = folder;
    [this.#port, this.#etcdPort] = ports;
    this.#flags = flags;
    const all = { ...users, [ADMIN]: ['system:masters'] };
    this.#tokens = new Map(Object.entries(all).map(([name, groups]) => [name, { token: randomBytes(16).toString('hex'), groups }]));
  }

  /** Starts both, and waits until the API server is ready. */
  static async start(options: ApiServerOptions = {}): Promise<ApiServer> {
    const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-api-'));
    const server = new ApiServer(await kubernetesPrograms(), folder, [await freePort(), await freePort()], options);
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    await writeFile(join(folder, 'accounts.key'), privateKey, { mode: 0o600 });
    await writeFile(join(folder, 'accounts.pub'), publicKey);
    const tokens = [...server.#tokens].map(([name, { token, groups }]) => `${token},${name},${name},"${groups.join(',')}"\n`);
    await writeFile(join(folder, 'tokens.csv'), tokens.join(''), { mode: 0o600 });
    for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, name), text);
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
  connect(user: string = ADMIN): KubeConnection {
    const config = new KubeConfig();
    config.loadFromString(this.#kubeconfig(user));
    const connection = new KubeConnection(config);
    this.#connections.push(connection);
    return connection;
  }

  /** Path of a kubeconfig for a program. */
  async kubeconfigOf(user: string): Promise<string> {
    const file = this.file(`${user}.kubeconfig`);
    await writeFile(file, this.#kubeconfig(user), { mode: 0o600 });
    return file;
  }

  /** Lays a file into its folder; its path. */
  async writeFile(name: string, text: string): Promise<string> {
    await writeFile(this.file(name), text);
    return this.file(name);
  }

  /** Path of a file in its folder, which goes with it. */
  file(name: string): string {
    return join(this.#folder, name);
  }

  /** Starts one of Kubernetes' own programs that work through the API server; it is ended with it. */
  async startProgram(name: 'kube-controller-manager' | 'kube-scheduler', flags: Flags): Promise<void> {
    const kubeconfig = await this.kubeconfigOf(ADMIN);
    this.#start(name, { kubeconfig, 'authentication-kubeconfig': kubeconfig, 'authorization-kubeconfig': kubeconfig, 'leader-elect': false, 'secure-port': await freePort(), 'cert-dir': this.file(`${name}-certificates`), ...flags });
  }

  #kubeconfig(user: string): string {
    const token = this.#tokens.get(user)?.token;
    if (token === undefined) throw new RangeError(`no user ${user}`);
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      // The server signs its certificate itself and anew at each start; it is on this machine.
      clusters: [{ name: 'test', cluster: { server: `https://127.0.0.1:${this.#port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: user, user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user } }],
      'current-context': 'test',
    });
  }

  /** Kills the API server alone; etcd keeps what it knows. */
  async killApi(): Promise<void> {
    await this.#end('kube-apiserver');
  }

  async startApi(): Promise<void> {
    const at = (name: string): string => this.file(name);
    const further = Object.entries(this.#flags).map(([flag, value]): [string, Flags[string]] => [flag, typeof value === 'string' ? value.replaceAll('{folder}', this.#folder) : value]);
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
      ...Object.fromEntries(further),
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
    for (const name of [...this.#running.keys()].reverse()) await this.#end(name);
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

  #start(name: KubernetesProgram, flags: Flags): void {
    const log = openSync(join(this.#folder, `${name}.log`), 'a');
    const child = spawn(this.#programs(name), Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`), {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
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

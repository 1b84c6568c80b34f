// Programs built from the Go module proxy, one module a folder under `go/`, kept in the cache by the content of that
// folder. Nothing is built that is there; nothing is downloaded but Go modules.
import { link, symlink } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached, filesOf, versionOf } from './cache.ts';
import { run } from './run.ts';

/** Must be the version that `go/kubernetes/go.mod` requires; the binary reports it. */
export const KUBERNETES_VERSION = 'v1.36.3';
const GO_MINIMUM = [1, 26] as const;

export type Program = 'minio' | 'minio-admin' | 'versitygw' | 'helm' | 'kubernetes' | 'kwok' | 'pause' | 'promtool' | 'toxiproxy';

interface Source {
  readonly module: string;
  readonly target: string;
  readonly linkerFlags?: string;
  /** Without libc, for an image that has nothing else in it. */
  readonly static?: boolean;
  /** Build tags. */
  readonly tags?: string;
}

const sources: Record<Program, Source> = {
  minio: { module: 'minio', target: 'github.com/minio/minio', static: true },
  'minio-admin': { module: 'minio', target: './admin', static: true },
  versitygw: { module: 'versitygw', target: 'github.com/versity/versitygw/cmd/versitygw', static: true },
  helm: { module: 'helm', target: 'helm.sh/helm/v3/cmd/helm' },
  kubernetes: {
    module: 'kubernetes',
    target: '.',
    linkerFlags: `-X k8s.io/component-base/version.gitVersion=${KUBERNETES_VERSION}`,
  },
  kwok: { module: 'kwok', target: 'sigs.k8s.io/kwok/cmd/kwok', static: true },
  pause: { module: 'pause', target: '.', static: true },
  toxiproxy: { module: 'toxiproxy', target: 'github.com/Shopify/toxiproxy/v2/cmd/server', static: true },
  // It is asked about rules only: without finding targets to scrape it needs no cloud's libraries.
  promtool: { module: 'promtool', target: 'github.com/prometheus/prometheus/cmd/promtool', tags: 'remove_all_sd' },
};

/** The names under which the one Kubernetes binary is called. */
export const KUBERNETES_PROGRAMS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-proxy',
  'kube-scheduler',
  'kubectl',
  'kubelet',
] as const;
export type KubernetesProgram = (typeof KUBERNETES_PROGRAMS)[number];

/** The path of a program, built first when the cache lacks it. Builds say so on standard error, for they take minutes. */
export async function binary(program: Program): Promise<string> {
  const source = sources[program];
  const module = join(import.meta.dirname, 'go', source.module);
  const linkerFlags = ['-s', '-w', source.linkerFlags ?? ''].join(' ').trim();
  const version = await versionOf(filesOf(module), source.target, `${linkerFlags}${source.tags ?? ''}`);
  const folder = await cached(`${program}-${version}`, async (draft) => {
    await goBuild({ what: program, module, targets: [source.target], linkerFlags, output: join(draft, program), static: source.static ?? false, tags: source.tags });
    if (program === 'kubernetes') await linkNames(draft);
  });
  return join(folder, program);
}

export interface Build {
  readonly what: string;
  /** The folder of `go.mod`. */
  readonly module: string;
  readonly targets: readonly string[];
  readonly linkerFlags: string;
  /** A file, or with several targets a folder that ends in a slash. */
  readonly output: string;
  /** Without libc. */
  readonly static: boolean;
  readonly tags?: string | undefined;
}

/** Builds programs of one Go module. */
export async function goBuild({ what, module, targets, linkerFlags, output, static: withoutLibc, tags }: Build): Promise<void> {
  await demandGo();
  console.error(`building ${what} from the Go module proxy (once; kept in the cache)`);
  const started = Date.now();
  await run('nice', ['go', 'build', '-trimpath', '-buildvcs=false', '-ldflags', linkerFlags, ...(tags === undefined ? [] : ['-tags', tags]), '-o', output, ...targets], {
    cwd: module,
    env: { ...process.env, GOWORK: 'off', ...(withoutLibc ? { CGO_ENABLED: '0' } : {}) },
  });
  console.error(`built ${what} in ${Math.round((Date.now() - started) / 1000)} s`);
}

/** The one binary under the names that it dispatches on. */
async function linkNames(folder: string): Promise<void> {
  for (const name of KUBERNETES_PROGRAMS) {
    await link(join(folder, 'kubernetes'), join(folder, name)).catch(() => symlink('kubernetes', join(folder, name)));
  }
}

/** Where Kubernetes' programs are: `KUBEBUILDER_ASSETS` for those that it holds, our own build for the rest. */
export async function kubernetesPrograms(): Promise<(name: KubernetesProgram) => string> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const given = new Set<string>(assets ? readdirSync(assets) : []);
  const missing = KUBERNETES_PROGRAMS.some((name) => !given.has(name));
  const own = missing ? join(await binary('kubernetes'), '..') : '';
  return (name) => (assets && given.has(name) ? join(assets, name) : join(own, name));
}

async function demandGo(): Promise<void> {
  const version = await run('go', ['env', 'GOVERSION'], { env: { ...process.env, GOTOOLCHAIN: 'local' } }).catch(() => '');
  const [, major = '0', minor = '0'] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  // Go 1.21 and later fetch the toolchain that go.mod asks for by themselves, unless GOTOOLCHAIN=local forbids it.
  const fetches = Number(minor) >= 21 && process.env['GOTOOLCHAIN'] !== 'local';
  if (Number(major) < GO_MINIMUM[0] || (Number(minor) < GO_MINIMUM[1] && !fetches)) {
    throw new Error(`Go ${GO_MINIMUM.join('.')} or newer is needed to build the ground's programs; install it from https://go.dev/dl/`);
  }
}

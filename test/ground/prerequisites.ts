// What the ground needs of the machine: programs and who may run it. `make setup` installs what is missing as root on
// Debian; elsewhere each missing thing is one line with the command that installs it.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Prerequisite {
  /** A program on PATH, or an absolute path. */
  readonly program: string;
  readonly debianPackage: string;
  readonly why: string;
}

export const prerequisites: readonly Prerequisite[] = [
  { program: 'containerd', debianPackage: 'containerd', why: 'runs pods' },
  { program: 'runc', debianPackage: 'runc', why: 'runs containers' },
  { program: '/usr/lib/cni/ptp', debianPackage: 'containernetworking-plugins', why: 'connects pods' },
  { program: 'dockerd', debianPackage: 'docker.io', why: 'builds the image from the Dockerfile' },
  { program: 'debootstrap', debianPackage: 'debootstrap', why: 'makes the base image where no registry is' },
  { program: 'restic', debianPackage: 'restic', why: 'checks our repositories independently' },
  { program: 'ip', debianPackage: 'iproute2', why: 'connects the ground to the machine' },
  { program: 'nft', debianPackage: 'nftables', why: 'lets kube-proxy make Services work' },
  { program: 'mount', debianPackage: 'mount', why: 'gives the node folders of its own' },
  { program: 'nsenter', debianPackage: 'util-linux', why: 'runs programs in the namespaces of the ground' },
  { program: 'openssl', debianPackage: 'openssl', why: "makes the cluster's certificates" },
  { program: 'python3', debianPackage: 'python3-venv', why: 'runs the KMS server' },
  { program: 'tar', debianPackage: 'tar', why: 'packs images' },
  { program: 'setfacl', debianPackage: 'acl', why: 'makes the seeded trees of the tests' },
  { program: 'setfattr', debianPackage: 'attr', why: 'makes the seeded trees of the tests' },
];

/** What of it this machine lacks. */
export function missingPrerequisites(): readonly Prerequisite[] {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return prerequisites.filter(({ program }) => !(program.startsWith('/') ? existsSync(program) : folders.some((folder) => existsSync(join(folder, program)))));
}

/** One line for each missing thing: what it is for, and the command that installs it. */
export function describeMissing(missing: readonly Prerequisite[]): string {
  return missing.map(({ program, debianPackage, why }) => `missing: ${program} (${why}); install it: apt-get install --no-install-recommends ${debianPackage}`).join('\n');
}

/** @throws when the machine cannot carry the ground. */
export function demandPrerequisites(): void {
  if (process.platform !== 'linux') throw new Error('a cluster of our own needs Linux; use one that exists: KUBECONFIG=… USE_EXISTING_CLUSTER=1 make cluster-up');
  const missing = missingPrerequisites();
  if (missing.length > 0) throw new Error(`the machine lacks something; \`make setup\` installs it as root on Debian\n${describeMissing(missing)}`);
  if (process.getuid?.() !== 0) throw new Error('a cluster of our own needs root; run `sudo make cluster-up`, or use one that exists: KUBECONFIG=… USE_EXISTING_CLUSTER=1 make cluster-up');
}

// Where the ground keeps its things and which addresses it uses. Everything lies under `.cluster/` of the checkout, except
// the record of who owns the machine's ground, which must be found from any checkout.
import { join } from 'node:path';

/**
 * `GROUND_NUMBER` tells grounds of one machine apart: each has its own addresses, devices, control groups and folder. The
 * tests of the ground itself use one beside the ground that runs them; people use the first.
 */
const NUMBER = Number(process.env['GROUND_NUMBER'] ?? 1);
if (!Number.isInteger(NUMBER) || NUMBER < 1 || NUMBER > 9) throw new Error('GROUND_NUMBER must be a number from 1 to 9');
const suffix = NUMBER === 1 ? '' : `-${NUMBER}`;
const network = `10.${206 + NUMBER}`;

export const CHECKOUT = join(import.meta.dirname, '..', '..');
export const CLUSTER = join(CHECKOUT, `.cluster${suffix}`);
/** Names the checkout whose ground runs, its processes and what must be put back; see `record.ts`. */
export const RECORD = `/run/tenant-backup-ground${suffix}.json`;
/** The same where only S3 and KMS are ours, which change nothing of the machine. */
export const EXISTING_RECORD = join(CLUSTER, 'record.json');

export const paths = {
  kubeconfig: join(CLUSTER, 'kubeconfig'),
  env: join(CLUSTER, 'env'),
  logs: join(CLUSTER, 'logs'),
  pids: join(CLUSTER, 'pids'),
  pki: join(CLUSTER, 'pki'),
  etc: join(CLUSTER, 'etc'),
  containerd: join(CLUSTER, 'containerd'),
  /** A UNIX socket's path may have 107 bytes, so it stays as high up as it can. */
  containerdSocket: join(CLUSTER, 'containerd.sock'),
  /** Where the CSI driver keeps volumes and snapshots. */
  csi: join(CLUSTER, 'csi'),
  /** What the node's programs write to fixed places of the machine lands here, through mounts of the ground's own namespace. */
  private: join(CLUSTER, 'private'),
} as const;

/** The machine's own end of the cable to the ground: programs in pods reach a test's servers here. */
export const HOST_ADDRESS = `${network}.1.2`;
/** The node: API server, S3 and KMS. Reachable from this machine and from pods, and from nowhere else. */
export const GROUND_ADDRESS = `${network}.1.1`;
export const NODE_SUBNET = `${network}.1.0/24`;
export const POD_SUBNET = `${network}.2.0/24`;
export const SERVICE_SUBNET = `${network}.3.0/24`;
/** The first address of the service subnet: the API server as pods know it. */
export const KUBERNETES_SERVICE = `${network}.3.1`;
export const HOST_LINK = `tb-ground${suffix}`;
export const GROUND_LINK = 'ground0';

export const NODE_NAME = 'ground';
export const API_PORT = 6443;
export const API_SERVER = `https://${GROUND_ADDRESS}:${API_PORT}`;
/** The folder of the ground's control groups in every hierarchy. */
export const CGROUP = `tenant-backup-ground${suffix}`;

export const PORTS = { s3: { a: 9000, b: 9100 }, kms: { a: 9200, b: 9300 } } as const;

/** Images that never come from a registry; `localhost` keeps every tool from asking one. */
export const PAUSE_IMAGE = 'localhost/tenant-backup-pause:1';
export const WORKLOAD_IMAGE = 'localhost/tenant-backup-workload:1';
export const PROGRAM_IMAGE = 'localhost/tenant-backup';

// The node: containerd, kubelet, kube-proxy and the pods' network, with their settings.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Programs } from './control-plane.ts';
import { startDaemon } from './daemons.ts';
import {
  CGROUP,
  GROUND_ADDRESS,
  NODE_NAME,
  PAUSE_IMAGE,
  POD_SUBNET,
  paths,
} from './layout.ts';
import type { Init } from './namespaces.ts';
import { authority, certificate, writeKubeconfig } from './pki.ts';

const UNIX_PATH_LIMIT = 107;

export async function startContainerd(init: Init): Promise<void> {
  if (paths.containerdSocket.length > UNIX_PATH_LIMIT) {
    throw new Error(`the path ${paths.containerdSocket} is too long for a UNIX socket (${UNIX_PATH_LIMIT} bytes): move the checkout higher up`);
  }
  const cni = join(paths.etc, 'cni');
  await mkdir(cni, { recursive: true });
  await writeFile(join(cni, '10-ground.conflist'), JSON.stringify(network, null, 2));
  const config = join(paths.etc, 'containerd.toml');
  await writeFile(config, containerdConfig(cni));
  await startDaemon(init, 'containerd', { command: ['containerd', '--config', config], env: {} });
}

/** ptp rather than bridge: every packet between pods passes the host's rules, so that Services work without br_netfilter. */
const network = {
  cniVersion: '0.4.0',
  name: 'ground',
  plugins: [
    { type: 'ptp', mtu: 1500, ipam: { type: 'host-local', ranges: [[{ subnet: POD_SUBNET }]], routes: [{ dst: '0.0.0.0/0' }] } },
  ],
};

function containerdConfig(cni: string): string {
  return `version = 2
root = "${join(paths.containerd, 'root')}"
state = "${join(paths.containerd, 'state')}"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "${paths.containerdSocket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without it a sandbox dies with "can't get final child's PID from pipe" where the score may not be lowered.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cni}"
`;
}

export async function startKubelet(init: Init, programs: Programs): Promise<void> {
  const [kubeconfig, config] = [join(paths.etc, 'kubelet.kubeconfig'), join(paths.etc, 'kubelet.json')];
  await writeKubeconfig(kubeconfig, 'kubelet');
  const { cert, key } = certificate('kubelet');
  await writeFile(
    config,
    JSON.stringify(
      {
        apiVersion: 'kubelet.config.k8s.io/v1beta1',
        kind: 'KubeletConfiguration',
        containerRuntimeEndpoint: `unix://${paths.containerdSocket}`,
        address: GROUND_ADDRESS,
        tlsCertFile: cert,
        tlsPrivateKeyFile: key,
        authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: authority } },
        authorization: { mode: 'Webhook' },
        cgroupDriver: 'cgroupfs',
        cgroupRoot: `/${CGROUP}`,
        failCgroupV1: false,
        failSwapOn: false,
        makeIPTablesUtilChains: false,
        // There is no cluster DNS: every address that we need is a number.
        clusterDNS: [],
        resolvConf: '',
        // A full disk of a developer's machine must not evict the pods of a test, nor collect images that no registry has.
        evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '0%', 'nodefs.inodesFree': '0%', 'imagefs.available': '0%' },
        imageGCHighThresholdPercent: 100,
        imageGCLowThresholdPercent: 99,
        maxPods: 250,
        serializeImagePulls: false,
      },
      null,
      2,
    ),
  );
  await startDaemon(init, 'kubelet', {
    command: [
      programs('kubelet'),
      `--kubeconfig=${kubeconfig}`,
      `--config=${config}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${GROUND_ADDRESS}`,
    ],
    env: {},
  });
}

/** kube-proxy knows the API server by its own address: the Service address is what it has yet to make work. */
export async function startProxy(init: Init, programs: Programs): Promise<void> {
  const [kubeconfig, config] = [join(paths.etc, 'proxy.kubeconfig'), join(paths.etc, 'proxy.json')];
  await writeKubeconfig(kubeconfig, 'proxy');
  await writeFile(
    config,
    JSON.stringify(
      {
        apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
        kind: 'KubeProxyConfiguration',
        clientConnection: { kubeconfig },
        mode: 'nftables',
        clusterCIDR: POD_SUBNET,
        hostnameOverride: NODE_NAME,
        healthzBindAddress: '127.0.0.1:10256',
        metricsBindAddress: '127.0.0.1:10249',
        // These limits belong to the whole machine.
        conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
      },
      null,
      2,
    ),
  );
  await startDaemon(init, 'kube-proxy', { command: [programs('kube-proxy'), `--config=${config}`], env: {} });
}

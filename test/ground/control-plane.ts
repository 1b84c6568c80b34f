// etcd, API server, controller manager, scheduler: the programs of a one-node control plane and their arguments.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startDaemon } from './daemons.ts';
import { API_PORT, CLUSTER, GROUND_ADDRESS, SERVICE_SUBNET, paths } from './layout.ts';
import type { Init } from './namespaces.ts';
import type { KubernetesProgram } from './binaries.ts';
import { authority, certificate, serviceAccountKey, serviceAccountPublicKey, writeKubeconfig } from './pki.ts';

export type Programs = (name: KubernetesProgram) => string;

const flags = (options: Readonly<Record<string, string | number | boolean>>): string[] =>
  Object.entries(options).map(([name, value]) => `--${name}=${value}`);

/** Starts etcd and the API server, which waits for it by itself. */
export async function startApiServer(init: Init, programs: Programs): Promise<void> {
  const data = join(CLUSTER, 'etcd');
  await mkdir(data, { recursive: true, mode: 0o700 });
  await startDaemon(init, 'etcd', {
    command: [
      programs('etcd'),
      ...flags({
        'data-dir': data,
        'listen-client-urls': 'http://127.0.0.1:2379',
        'advertise-client-urls': 'http://127.0.0.1:2379',
        'listen-peer-urls': 'http://127.0.0.1:2380',
        'unsafe-no-fsync': true, // A cluster for tests is thrown away after a crash of the machine.
        'log-level': 'warn',
      }),
    ],
    env: {},
  });
  const server = certificate('apiserver');
  const toKubelet = certificate('apiserver-kubelet');
  await startDaemon(init, 'kube-apiserver', {
    command: [
      programs('kube-apiserver'),
      ...flags({
        'etcd-servers': 'http://127.0.0.1:2379',
        'bind-address': '0.0.0.0',
        'advertise-address': GROUND_ADDRESS,
        'secure-port': API_PORT,
        'service-cluster-ip-range': SERVICE_SUBNET,
        'authorization-mode': 'Node,RBAC',
        'enable-admission-plugins': 'NodeRestriction',
        'allow-privileged': true,
        'client-ca-file': authority,
        'tls-cert-file': server.cert,
        'tls-private-key-file': server.key,
        'kubelet-certificate-authority': authority,
        'kubelet-client-certificate': toKubelet.cert,
        'kubelet-client-key': toKubelet.key,
        'kubelet-preferred-address-types': 'InternalIP',
        'service-account-issuer': 'https://kubernetes.default.svc',
        'service-account-key-file': serviceAccountPublicKey,
        'service-account-signing-key-file': serviceAccountKey,
      }),
    ],
    env: {},
  });
}

/** Starts what works through the API server. It must be ready: a controller manager that may not read yet ends for good. */
export async function startControllers(init: Init, programs: Programs): Promise<void> {
  const [manager, scheduler] = [join(paths.etc, 'controller-manager.kubeconfig'), join(paths.etc, 'scheduler.kubeconfig')];
  await writeKubeconfig(manager, 'controller-manager');
  await writeKubeconfig(scheduler, 'scheduler');
  await startDaemon(init, 'kube-controller-manager', {
    command: [
      programs('kube-controller-manager'),
      ...flags({
        kubeconfig: manager,
        'authentication-kubeconfig': manager,
        'authorization-kubeconfig': manager,
        'bind-address': '127.0.0.1',
        'leader-elect': false,
        'root-ca-file': authority,
        'service-account-private-key-file': serviceAccountKey,
        'use-service-account-credentials': true,
      }),
    ],
    env: {},
  });
  await startDaemon(init, 'kube-scheduler', {
    command: [
      programs('kube-scheduler'),
      ...flags({
        kubeconfig: scheduler,
        'authentication-kubeconfig': scheduler,
        'authorization-kubeconfig': scheduler,
        'bind-address': '127.0.0.1',
        'leader-elect': false,
      }),
    ],
    env: {},
  });
}

// The ground lives in process, mount and network namespaces of its own, as a node of `kind` lives in a container: ending
// their process 1 ends every process, mount, network device and firewall rule in them, however the run before ended.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { binary } from './binaries.ts';
import {
  GROUND_ADDRESS,
  GROUND_LINK,
  HOST_ADDRESS,
  HOST_LINK,
  POD_SUBNET,
  SERVICE_SUBNET,
  paths,
} from './layout.ts';
import { startTimeOf } from './record.ts';
import { run, until } from './run.ts';

/** Fixed places of the machine that the node's programs write to; each gets a private folder in the ground's namespace. */
export const PRIVATE_PLACES = [
  '/var/lib/kubelet',
  '/var/lib/cni',
  '/var/log/pods',
  '/var/log/containers',
  '/run/containerd',
  '/run/netns',
  '/opt/containerd',
] as const;

export interface Init {
  readonly pid: number;
  readonly startTime: string;
  /** Which namespaces it has of its own, as options of unshare and nsenter name them. */
  readonly namespaces: readonly string[];
}

/** What a whole node needs of its own. */
export const NODE_NAMESPACES = ['mount', 'pid', 'net'] as const;
/** What a few servers need to be found and ended together; `user` lets somebody else than root have that. */
export const SERVER_NAMESPACES = process.getuid?.() === 0 ? (['mount', 'pid'] as const) : (['user', 'mount', 'pid'] as const);

/** Starts process 1 of new namespaces. It outlives this program and holds them until it is killed. */
export async function startNamespaces(namespaces: readonly string[]): Promise<Init> {
  const pause = await binary('pause');
  const options = namespaces.map((name) => `--${name}`);
  if (namespaces.includes('user')) options.push('--map-root-user');
  // `slave`, so that a mount which a test makes on the machine is seen by pods, but none of the ground's leaks out.
  const holder = spawn('unshare', [...options, '--propagation', 'slave', '--fork', '--kill-child', '--mount-proc', pause], {
    detached: true,
    stdio: 'ignore',
  });
  holder.unref();
  let pid = 0;
  await until('process 1 of the ground', 5, () => {
    pid = Number(readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim());
    // It is ready when it has become the pause program: then all namespaces are made and mounted.
    return Promise.resolve(pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(pause));
  });
  const startTime = startTimeOf(pid);
  if (startTime === undefined) throw new Error('process 1 of the ground ended at once; is this machine allowed to make namespaces?');
  return { pid, startTime, namespaces: [...namespaces] };
}

/** The command line that runs a program inside the ground's namespaces. */
export function inside(init: Init, command: readonly string[]): { command: string; args: string[] } {
  return { command: 'nsenter', args: ['--target', String(init.pid), ...init.namespaces.map((name) => `--${name}`), '--', ...command] };
}

export async function runInside(init: Init, script: string): Promise<string> {
  const { command, args } = inside(init, ['sh', '-euc', script]);
  return run(command, args);
}

/** Lays the private folders over the machine's fixed places, and connects the ground to the machine with one cable. */
export async function furnishNamespaces(init: Init): Promise<void> {
  const mounts: string[] = ['mount --make-rshared /'];
  for (const place of PRIVATE_PLACES) {
    const own = join(paths.private, place.slice(1).replaceAll('/', '-'));
    await mkdir(own, { recursive: true });
    mounts.push(`mount --bind '${own}' '${place}'`);
  }
  await run('ip', ['link', 'add', HOST_LINK, 'type', 'veth', 'peer', 'name', GROUND_LINK, 'netns', String(init.pid)]);
  await run('ip', ['address', 'add', `${HOST_ADDRESS}/24`, 'dev', HOST_LINK]);
  await run('ip', ['link', 'set', HOST_LINK, 'up']);
  await runInside(
    init,
    [
      ...mounts,
      'ip link set lo up',
      `ip address add ${GROUND_ADDRESS}/24 dev ${GROUND_LINK}`,
      `ip link set ${GROUND_LINK} up`,
      // Without a default route the kubelet and the API server find no address of theirs; nothing leaves the machine by it,
      // for the machine does not forward for the ground.
      `ip route add default via ${HOST_ADDRESS}`,
      'echo 1 > /proc/sys/net/ipv4/ip_forward',
    ].join('\n'),
  );
  for (const subnet of [POD_SUBNET, SERVICE_SUBNET]) await run('ip', ['route', 'add', subnet, 'via', GROUND_ADDRESS]);
}

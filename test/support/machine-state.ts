// What a ground could leave behind on the machine: network devices, routes, firewall rules, mounts, control groups, kernel
// settings, files at fixed places. Taken before and after, and compared.
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PRIVATE_PLACES } from '../ground/namespaces.ts';
import { run } from '../ground/run.ts';

export interface MachineState {
  readonly links: readonly string[];
  readonly routes: readonly string[];
  readonly firewall: string;
  readonly controlGroups: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, readonly string[]>>;
}

const SETTINGS = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops', 'kernel/keys/root_maxkeys', 'net/ipv4/ip_forward'];

export async function machineState(): Promise<MachineState> {
  return {
    links: lines(await run('ip', ['-oneline', '-brief', 'link'])).map((line) => line.split(/[@\s]/)[0] ?? ''),
    routes: lines(await run('ip', ['route'])),
    firewall: await run('nft', ['list', 'ruleset']),
    controlGroups: lines(await run('find', ['/sys/fs/cgroup', '-type', 'd', '-name', 'tenant-backup-ground*'])),
    settings: Object.fromEntries(SETTINGS.map((name) => [name, readFileSync(join('/proc/sys', name), 'utf8').trim()])),
    files: Object.fromEntries([...PRIVATE_PLACES, '/run'].map((place) => [place, existsSync(place) ? readdirSync(place).sort() : ['(not there)']])),
  };
}

/** Mounts of this machine below a folder. */
export function mountsBelow(folder: string): string[] {
  return lines(readFileSync('/proc/self/mountinfo', 'utf8')).filter((line) => line.split(' ')[4]?.startsWith(folder));
}

/** The processes that share a process namespace, as this machine counts them. */
export function processesOf(pidNamespace: string): number[] {
  return readdirSync('/proc').map(Number).filter((pid) => pid > 0 && pidNamespaceOf(pid) === pidNamespace);
}

/** Names a process's namespace, or undefined when the process is gone. */
export function pidNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

function lines(text: string): string[] {
  return text.split('\n').filter(Boolean);
}

// The bundle as a process, under the memory limit that the chart sets, and what can be seen of it from outside.
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../support/loopback-process.ts';
import { SYSTEM, type World } from './world.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/tenant-backup');
const MEMORY_GROUP = '/sys/fs/cgroup/memory';
/** The chart's `resources.limits.memory`. */
const LIMIT_MIB = 512;

export interface Memory {
  /** Resident now and at the most since the start, MiB. */
  readonly nowMiB: number;
  readonly peakMiB: number;
}

export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly #group: string | undefined;
  readonly #metricsPort: number;
  readonly startedAt = performance.now();
  /** Seconds after the start at which it said each of these first. */
  readonly #said = new Map<string, number>();
  readonly #failures: string[] = [];

  private constructor(child: ChildProcess, metricsPort: number, group: string | undefined, log: string) {
    this.#child = child;
    this.#metricsPort = metricsPort;
    this.#group = group;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        appendFileSync(log, `${line}\n`);
        this.#hear(line);
      });
    }
  }

  static async start(world: Pick<World, 'kubeconfig'>, log: string, identity = 'operator-1'): Promise<OperatorProcess> {
    const metricsPort = await freePort();
    const group = memoryGroup();
    const args = ['operator', '--mover-image', 'localhost/mover', '--kubeconfig', world.kubeconfig, '--namespace', SYSTEM, '--identity', identity, '--health-port', '0', '--metrics-port', String(metricsPort)];
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, ...(group === undefined ? { NODE_OPTIONS: `--max-old-space-size=${LIMIT_MIB / 2}` } : {}) };
    // The process enters the group before the program starts: Node sizes its heap by the limit that it finds.
    const enter = group === undefined ? '' : `echo $$ > ${group}/cgroup.procs; `;
    const child = spawn('/bin/sh', ['-c', `${enter}exec "$0" "$@"`, PROGRAM, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    process.once('exit', () => child.kill('SIGKILL'));
    return new OperatorProcess(child, metricsPort, group, log);
  }

  get limit(): string {
    return this.#group === undefined ? `heap limit ${LIMIT_MIB / 2} MiB` : `memory cgroup ${LIMIT_MIB} MiB`;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Seconds from the start of the process to this line of its log. */
  async heard(message: string, seconds: number): Promise<number> {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      const at = this.#said.get(message);
      if (at !== undefined) return at;
      if (!this.isRunning) throw new Error(`the operator ended (${this.#child.exitCode ?? this.#child.signalCode ?? ''}): ${this.#failures.slice(-3).join('\n')}`);
      if (performance.now() > end) throw new Error(`the operator did not say "${message}" within ${seconds} s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  memory(): Memory {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const of = (field: string): number => Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024);
    return { nowMiB: of('VmRSS'), peakMiB: of('VmHWM') };
  }

  /** Seconds of processor time since the start. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** As Prometheus does it; seconds and bytes of the answer. */
  async scrape(): Promise<{ readonly seconds: number; readonly bytes: number; readonly text: string }> {
    const startedAt = performance.now();
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text();
    return { seconds: (performance.now() - startedAt) / 1000, bytes: text.length, text };
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.isRunning) {
      await new Promise((resolve) => {
        this.#child.once('close', resolve);
        this.#child.kill(signal);
      });
    }
    if (this.#group !== undefined && existsSync(this.#group)) rmdirSync(this.#group);
  }

  #hear(line: string): void {
    try {
      const { level, msg, err } = JSON.parse(line) as { level: number; msg: string; err?: { message?: string } };
      if (!this.#said.has(msg)) this.#said.set(msg, (performance.now() - this.startedAt) / 1000);
      if (level >= 40) this.#failures.push(`${msg}: ${err?.message ?? ''}`);
    } catch {
      this.#failures.push(line);
    }
  }
}

/** A group of our own where the machine lets us make one; undefined elsewhere. */
function memoryGroup(): string | undefined {
  const group = join(MEMORY_GROUP, `tenant-backup-scale-${process.pid}-${Date.now()}`);
  try {
    if (!existsSync(join(MEMORY_GROUP, 'memory.limit_in_bytes'))) return undefined;
    mkdirSync(group);
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(LIMIT_MIB * 1024 * 1024));
    return group;
  } catch {
    return undefined;
  }
}

// One row of the table of faults, and the place that it happens in: a customer of its own, at a location of its own if need be.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { CLUSTER } from '../../ground/layout.ts';
import { run } from '../../ground/run.ts';
import { apply, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type OurKind, type StatusLike } from '../../support/cluster.ts';
import { backupObject, locationObjects, makeCustomer, removeCustomer, restoreObject, type CustomerOptions, type LocationOptions } from '../../support/customer.ts';

export interface Fault {
  /** The words of the issue. */
  readonly fault: string;
  /** Names the row's namespace and, where it has one, its location. */
  readonly id: string;
  /** Where the fault shows: the object and the condition. */
  readonly shows: { readonly kind: OurKind; readonly name: string; readonly condition: string };
  readonly reason: string;
  readonly message: RegExp;
  /** Seconds from the fault until a person can see it. */
  readonly within: number;
  /** The object that an event would be about is gone, or nothing is wrong. */
  readonly withoutEvent?: true;
  arrange?(place: Place): Promise<void>;
  /** The clock starts here. Resolves to the name of the object that shows the fault, where only chance decides which it is. */
  strike(place: Place): Promise<string | undefined | void>;
  /** Takes the fault away, and sees that all ends well, or as well as it can. */
  mend?(place: Place): Promise<void>;
  /** Its repository is beyond forgetting, so its backups are let go without that. */
  readonly beyondForgetting?: true;
}

/** Shared by rows that need none of their own. */
export const SHARED_LOCATION = 'faults';
/** Movers here have so little of a processor that one is caught while it runs. */
export const SLOW_LOCATION = 'faults-slow';
export const SLOW_MOVER = { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '250m', memory: '1Gi' } } };
export const CLAIM = 'data';
const MIB = 1 << 20;

interface PodLike {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly containerStatuses?: readonly { readonly containerID?: string; readonly state?: { readonly running?: object } }[] };
}

export class Place {
  readonly namespace: string;
  readonly #namespaces = new Set<string>();
  readonly #atEnd: (() => Promise<unknown> | undefined)[] = [];
  #ownLocation = false;

  constructor(id: string) {
    this.namespace = `fault-${id}`;
  }

  /** A directory of the node. */
  directory(namespace = this.namespace): string {
    return join(CLUSTER, 'e2e', namespace);
  }

  /** A location of this row alone, under the row's name. */
  async ownLocation(options: LocationOptions): Promise<string> {
    this.#ownLocation = true;
    await apply(locationObjects(this.namespace, options));
    return this.namespace;
  }

  /** A namespace with a volume of random bytes and a policy that is ready, unless told otherwise. */
  async customer(options: Partial<CustomerOptions> & { readonly bytes?: number; readonly ready?: boolean } = {}): Promise<void> {
    const { bytes = 4096, ready = true, ...rest } = options;
    const namespace = rest.namespace ?? this.namespace;
    this.#namespaces.add(namespace);
    const directory = this.directory(namespace);
    mkdirSync(directory, { recursive: true });
    for (let i = 0; i < Math.max(1, bytes / (4 * MIB)); i++) writeFileSync(join(directory, `file-${i}`), randomBytes(Math.min(bytes, 4 * MIB)));
    await makeCustomer({ location: SHARED_LOCATION, volumes: { [CLAIM]: directory }, ...rest, namespace });
    if (ready) await waitForCondition('bp', 'daily', namespace, { type: 'Ready', status: 'True' }, 30);
  }

  async backup(name = 'backup', policy = 'daily', namespace = this.namespace): Promise<void> {
    await create([backupObject(namespace, name, policy)]);
  }

  async stored(name = 'backup', namespace = this.namespace, seconds = 90): Promise<void> {
    await waitForPhase('bk', name, namespace, ['Stored'], seconds);
  }

  async restore(name: string, backup: string, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await create([restoreObject(this.namespace, name, backup, spec)]);
  }

  /** The mover of this place, once its container runs. */
  async runningMover(): Promise<{ readonly pod: string; readonly container: string }> {
    return waitFor('a mover that runs', 60, async () => {
      const [pod] = await listObjects<PodLike>('pods', this.namespace, 'app.kubernetes.io/managed-by=tenant-backup');
      const container = pod?.status?.containerStatuses?.find(({ state }) => state?.running !== undefined)?.containerID;
      return pod === undefined || container === undefined ? undefined : { pod: pod.metadata.name, container: container.replace(/^.*:\/\//, '') };
    });
  }

  /** Everything that backups and restores leave behind in the namespace while they run. */
  async leftovers(namespace = this.namespace): Promise<string> {
    return kubectl(['get', 'jobs,pods,secrets', '-n', namespace, '-l', 'app.kubernetes.io/managed-by=tenant-backup', '-o', 'name']);
  }

  /** Whatever still goes on is cancelled, every backup and restore deleted as a person would, and nothing may be left. */
  async settle(beyondForgetting: boolean): Promise<void> {
    for (const namespace of this.#namespaces) {
      if ((await getObject('namespace', namespace)) === undefined) continue;
      for (const kind of ['restores.backup.dupp.de', 'backups.backup.dupp.de']) {
        for (const { metadata } of await listObjects<StatusLike>(kind, namespace)) {
          // The last good one, and many at once, wait for a person.
          await kubectl(['annotate', kind, metadata.name, '-n', namespace, 'backup.dupp.de/confirm-deletion=true', '--overwrite']);
          if (beyondForgetting) await kubectl(['annotate', kind, metadata.name, '-n', namespace, 'backup.dupp.de/abandon=true', '--overwrite']);
        }
        // Ten rows at once on two processors: a mover for each that is forgotten.
        await kubectl(['delete', kind, '--all', '-n', namespace, '--timeout=120s']);
      }
      await waitFor(`nothing to be left in ${namespace}`, 30, async () => (await this.leftovers(namespace)) === '' || undefined);
    }
  }

  /** Done when the row is over, whichever way it went; the last one first. */
  atEnd(undo: () => Promise<unknown> | undefined): void {
    this.#atEnd.unshift(undo);
  }

  /** As a person stops what cannot get on. */
  async cancel(name = 'backup'): Promise<void> {
    await kubectl(['patch', 'bk', name, '-n', this.namespace, '--type=merge', '-p', '{"spec":{"cancel":true}}']);
    await waitForPhase('bk', name, this.namespace, ['Cancelled'], 60);
  }

  async remove(): Promise<void> {
    for (const undo of this.#atEnd) await undo();
    for (const namespace of this.#namespaces) {
      await removeCustomer(namespace, [CLAIM]);
      rmSync(this.directory(namespace), { recursive: true, force: true });
    }
    if (this.#ownLocation) await kubectl(['delete', 'bl', this.namespace, '--ignore-not-found', '--timeout=30s']);
  }
}

/** As the kernel or an administrator would: the process has no time to say anything. */
export function killContainer(container: string): Promise<void> {
  return signalContainer(container, 'SIGKILL');
}

/** To the first process of a container, all of it where there is but one. */
export async function signalContainer(container: string, signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
  const address = environment()['CONTAINERD_ADDRESS'] ?? '/run/containerd/containerd.sock';
  await run('ctr', ['--address', address, '--namespace', 'k8s.io', 'tasks', 'kill', '--signal', signal, container]);
}

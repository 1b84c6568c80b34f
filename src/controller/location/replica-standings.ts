import type { ReplicationResult } from '../../api/index.ts';
import type { ReplicaStanding } from '../../decide/index.ts';

/** What the second data center has of each tenant, as the last copy left it. Lost in a restart; the results in the bucket tell it again. */
export class ReplicaStandings {
  readonly #locations = new Map<string, { runId: string; readonly tenants: Map<string, ReplicaStanding> }>();
  readonly #listeners: ((location: string) => void)[] = [];

  /** Whether the results of that run were taken in. */
  knows(location: string, runId: string): boolean {
    return this.#locations.get(location)?.runId === runId;
  }

  /** `undefined`: nothing is known of it. */
  of(location: string, tenantId: string): ReplicaStanding | undefined {
    return this.#locations.get(location)?.tenants.get(tenantId);
  }

  /** Takes in a run's results. What a worker that was lost would have told stays as it was. */
  take(location: string, runId: string, results: readonly (ReplicationResult | undefined)[]): void {
    const known = this.#locations.get(location) ?? { runId, tenants: new Map<string, ReplicaStanding>() };
    known.runId = runId;
    this.#locations.set(location, known);
    for (const result of results) {
      for (const { tenant, snapshots, replicatedUpTo, failure } of result?.tenants ?? []) {
        const findings = (result?.findings ?? []).filter((finding) => finding.tenant === tenant).map(({ kind, message }) => `${kind}: ${message}`);
        known.tenants.set(tenant, { snapshots: new Set(snapshots), replicatedUpTo, failure: failure && `${failure.code}: ${failure.message}`, findings });
      }
    }
    for (const listener of this.#listeners) listener(location);
  }

  forget(location: string): void {
    this.#locations.delete(location);
  }

  /** Called back with the name of a location of which something new is known. */
  listen(listener: (location: string) => void): void {
    this.#listeners.push(listener);
  }
}

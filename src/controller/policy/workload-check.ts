import type { BackupPolicySpec } from '../../api/index.ts';
import type { WorkloadFinding } from '../../decide/policy.ts';
import { isKubeError, type ScaleClient } from '../../kube/index.ts';
import type { Clock } from '../ports.ts';

/** Workloads are not watched, for they may be of any kind; one is looked at again after this. */
export const WORKLOAD_LOOK_MS = { found: 5 * 60_000, missing: 5000 } as const;

type Workload = BackupPolicySpec['workload'];

interface Look {
  readonly finding: WorkloadFinding;
  readonly at: number;
}

/** Whether a policy's workload exists and can be scaled. Answers are kept for a while, so that a busy policy costs no requests. */
export class WorkloadCheck {
  readonly #scales: ScaleClient;
  readonly #clock: Clock;
  readonly #looks = new Map<string, Look>();

  constructor(scales: ScaleClient, clock: Clock) {
    this.#scales = scales;
    this.#clock = clock;
  }

  async check(namespace: string, workload: Workload, signal: AbortSignal): Promise<{ readonly finding: WorkloadFinding; readonly againInMs?: number }> {
    if (workload === undefined) return { finding: { ok: true } };
    const key = JSON.stringify([namespace, workload.apiVersion, workload.kind, workload.name]);
    const now = this.#clock.now();
    const known = this.#looks.get(key);
    if (known && now - known.at < lifetime(known.finding)) return { finding: known.finding, againInMs: known.at + lifetime(known.finding) - now };
    const finding = await this.#look(namespace, workload, signal);
    this.#looks.set(key, { finding, at: now });
    return { finding, againInMs: lifetime(finding) };
  }

  async #look(namespace: string, workload: NonNullable<Workload>, signal: AbortSignal): Promise<WorkloadFinding> {
    try {
      const scale = await this.#scales.get(workload, namespace, signal);
      if (scale !== undefined) return { ok: true };
      return { ok: false, reason: 'WorkloadMissing', message: `${workload.kind} ${workload.name} does not exist in this namespace. Create it, or change spec.workload.` };
    } catch (error) {
      if (isKubeError(error, 'Invalid')) return { ok: false, reason: 'WorkloadNotScalable', message: `spec.workload cannot be used: ${error.message}.` };
      if (isKubeError(error, 'Forbidden')) {
        return {
          ok: false,
          reason: 'WorkloadForbidden',
          message: `The operator may not read the scale of ${workload.kind} ${workload.name}. Add its kind to rbac.extraScalables of the Helm chart.`,
        };
      }
      throw error;
    }
  }
}

function lifetime(finding: WorkloadFinding): number {
  return finding.ok ? WORKLOAD_LOOK_MS.found : WORKLOAD_LOOK_MS.missing;
}

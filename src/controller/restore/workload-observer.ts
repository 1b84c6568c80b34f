import type { BackupPolicySpec } from '../../api/index.ts';
import type { WorkloadFact, WorkloadTarget } from '../../decide/index.ts';
import { ResourceClient, ScaleClient, isKubeError, resourceTypes, type KubeConnection, type KubeObject } from '../../kube/index.ts';

type Workload = NonNullable<BackupPolicySpec['workload']>;

interface RawAutoscaler extends KubeObject {
  readonly spec?: { readonly scaleTargetRef?: { readonly kind?: string; readonly name?: string } };
}

/** Looks at workloads and sets their scale. Any kind with a `scale` subresource will do. */
export class Workloads {
  readonly #connection: KubeConnection;
  readonly #scales: ScaleClient;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
    this.#scales = new ScaleClient(connection);
  }

  /** @param thorough - also who else may scale it, which is asked before it is touched and not after */
  async observe(workload: Workload | WorkloadTarget | undefined, namespace: string, thorough: boolean, signal: AbortSignal): Promise<WorkloadFact> {
    if (workload === undefined) return { state: 'none' };
    try {
      const scale = await this.#scales.get(workload, namespace, signal);
      if (scale === undefined) return { state: 'missing' };
      const found = {
        state: 'found',
        uid: scale.metadata.uid,
        replicas: scale.spec?.replicas ?? 0,
        labels: {},
        annotations: {},
        autoscalers: [],
      } as const;
      if (!thorough) return found;
      const type = await this.#scales.typeOf(workload, signal);
      const object = await new ResourceClient(this.#connection, type).get(workload.name, namespace, signal);
      return {
        ...found,
        labels: object?.metadata.labels ?? {},
        annotations: object?.metadata.annotations ?? {},
        autoscalers: await this.#autoscalers(workload, namespace, signal),
      };
    } catch (error) {
      if (isKubeError(error, 'Invalid')) return { state: 'notScalable', message: error.message };
      if (isKubeError(error, 'Forbidden'))
        return { state: 'notScalable', message: `${error.message}. Add its kind to rbac.extraScalables of the Helm chart.` };
      throw error;
    }
  }

  /** Sets the scale, unless the workload of that name is another one by now. */
  async scale(target: WorkloadTarget, namespace: string, replicas: number, signal: AbortSignal): Promise<void> {
    const scale = await this.#scales.get(target, namespace, signal);
    if (scale?.metadata.uid !== target.uid || scale.spec?.replicas === replicas) return;
    await this.#scales.set(target, scale, replicas, signal);
  }

  async #autoscalers(workload: Workload | WorkloadTarget, namespace: string, signal: AbortSignal): Promise<readonly string[]> {
    const { items } = await new ResourceClient<RawAutoscaler>(this.#connection, resourceTypes.horizontalPodAutoscalers).list({ namespace }, signal);
    return items
      .filter(({ spec }) => spec?.scaleTargetRef?.kind === workload.kind && spec.scaleTargetRef.name === workload.name)
      .map(({ metadata }) => metadata.name);
  }
}

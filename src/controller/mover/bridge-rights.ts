/** What lets a mover's bridge run commands in the pods that its streams come from, in no others, and no longer than the mover lives. */
import { moverLabels, type MoverJobInput, type StreamBridge } from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type KubeConnection, type KubeObject, type NewObject } from '../../kube/index.ts';

const RBAC = 'rbac.authorization.k8s.io';

export class BridgeRights {
  readonly #accounts: ResourceClient<KubeObject>;
  readonly #roles: ResourceClient<KubeObject>;
  readonly #bindings: ResourceClient<KubeObject>;

  constructor(connection: KubeConnection) {
    this.#accounts = new ResourceClient(connection, resourceTypes.serviceAccounts);
    this.#roles = new ResourceClient(connection, resourceTypes.roles);
    this.#bindings = new ResourceClient(connection, resourceTypes.roleBindings);
  }

  /** All of them have the mover's name, which nobody else gives (admission). What a run before made is brought up to date. */
  async grant(job: MoverJobInput, bridge: StreamBridge, signal: AbortSignal): Promise<void> {
    const { name, namespace } = job;
    const labels = moverLabels(job);
    // No owner in another namespace: the garbage collector would take it for one that is gone.
    const ownerReferences = [...job.owners];
    const there = { name, namespace: bridge.namespace, labels, ...(namespace === bridge.namespace ? { ownerReferences } : {}) };
    const here = { name, namespace, labels, ownerReferences };
    await this.#make(this.#accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: here, automountServiceAccountToken: false }, {}, signal);
    const rules = bridge.pods.length === 0 ? [] : [{ apiGroups: [''], resources: ['pods/exec'], resourceNames: [...bridge.pods], verbs: ['get', 'create'] }];
    await this.#make(this.#roles, { apiVersion: `${RBAC}/v1`, kind: 'Role', metadata: there, rules }, { rules }, signal);
    const binding = { roleRef: { apiGroup: RBAC, kind: 'Role', name }, subjects: [{ kind: 'ServiceAccount', name, namespace }] };
    await this.#make(this.#bindings, { apiVersion: `${RBAC}/v1`, kind: 'RoleBinding', metadata: there, ...binding }, {}, signal);
  }

  /** @param to - the customer's namespace */
  async revoke(name: string, namespace: string, to: string, signal: AbortSignal): Promise<void> {
    await this.#bindings.delete(name, to, { signal });
    await this.#roles.delete(name, to, { signal });
    await this.#accounts.delete(name, namespace, { signal });
  }

  async #make(client: ResourceClient<KubeObject>, object: NewObject, change: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<void> {
    try {
      await client.create(object, signal);
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
      if (Object.keys(change).length > 0) await client.patch(object.metadata.name, object.metadata.namespace, change, { signal });
    }
  }
}

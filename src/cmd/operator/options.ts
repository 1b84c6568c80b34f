import * as z from 'zod';
import { wholeNumber } from '../whole-number.ts';

const Port = wholeNumber({ from: 0, to: 65535 }, 'a port from 0 to 65535');

/** Flags of `tenant-backup operator`, as commander hands them over. */
export const OperatorOptions = z.object({
  moverImage: z.string().min(1),
  namespace: z.string().min(1).optional(),
  moverNamespace: z.string().min(1).optional(),
  identity: z.string().min(1).optional(),
  leaseName: z.string().min(1).default('tenant-backup-operator'),
  healthPort: Port.default(8081),
  metricsPort: Port.default(9090),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  kubeconfig: z.string().min(1).optional(),
});
export type OperatorOptions = z.infer<typeof OperatorOptions>;

export interface OperatorSettings extends OperatorOptions {
  /** Where the Secrets of locations and the leader's lease live. */
  readonly namespace: string;
  /** Where movers run that need nothing of a customer's namespace. */
  readonly moverNamespace: string;
  /** This replica's name in the lease; the same after its container was started anew. */
  readonly identity: string;
}

/**
 * Flags first, then what the pod's downward API says.
 * @throws {RangeError} when namespace or identity are known from nowhere
 */
export function operatorSettings(options: OperatorOptions, environment: Readonly<Record<string, string | undefined>>): OperatorSettings {
  const namespace = options.namespace ?? environment['POD_NAMESPACE'];
  if (!namespace) throw new RangeError("the operator's namespace is not known; set POD_NAMESPACE (the Helm chart does) or give --namespace");
  const identity = options.identity ?? environment['POD_NAME'];
  if (!identity) throw new RangeError("this replica's name is not known; set POD_NAME (the Helm chart does) or give --identity");
  return { ...options, namespace, identity, moverNamespace: options.moverNamespace ?? `${namespace}-movers` };
}

import { isKubeError, type KubeError } from '../../kube/index.ts';
import { PortError } from '../ports.ts';

/** Why something cannot be made, though asking for it again at once would change nothing. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** Whether the API server refuses something for good: a quota, an admission rule, a missing right. */
export function isRefused(error: unknown): error is KubeError {
  return isKubeError(error, 'Forbidden', 'Invalid', 'BadRequest');
}

/**
 * What a port, or the API server, refuses for good. It is told like a failure, for a workload may be down or
 * quiesced meanwhile and must not wait for somebody who reads the log.
 * @returns undefined for an error of another kind
 */
export function refusalOf(error: unknown, what = 'the mover needs'): Refusal | undefined {
  if (error instanceof PortError) return error;
  if (!isRefused(error)) return undefined;
  return { reason: 'MoverRefused', message: `The API server refuses what ${what}: ${error.message}`, retryable: true };
}

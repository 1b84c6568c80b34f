/** How movers of a `MoverWorld` end: what their pods and the bucket tell. */
import type { MoverOrders, MoverResult } from '../../src/api/index.ts';

/** How a mover's pod ends. */
export interface MoverEnd {
  readonly exitCode: number;
  readonly reason?: string;
  readonly message?: string;
  /** Whether the pod is gone, so that only the bucket knows. */
  readonly lost?: boolean;
}

export type MoverScript = (orders: MoverOrders) => MoverEnd | 'running';

/** A mover's good end. */
export function ended(orders: MoverOrders, changes: Partial<MoverResult> = {}): MoverEnd {
  return { exitCode: 0, message: JSON.stringify(result(orders, changes)) };
}

export function result(orders: MoverOrders, changes: Partial<MoverResult> = {}): MoverResult {
  return {
    version: 1,
    task: orders.task,
    attempt: orders.attempt.name,
    uid: orders.attempt.uid,
    outcome: 'succeeded',
    startedAt: '2030-01-01T00:00:00Z',
    finishedAt: '2030-01-01T00:00:01Z',
    ...(orders.task === 'backup'
      ? {
          backup: {
            snapshotId: 'ab'.repeat(32),
            complete: true,
            files: 3,
            directories: 1,
            filesUnchanged: 0,
            bytesProcessed: 1_048_576,
            bytesAdded: 4096,
          },
        }
      : {}),
    ...(orders.task === 'restore'
      ? { restore: { complete: true, files: 3, directories: 1, filesSkippedIdentical: 0, bytesWritten: 4096, deleted: 1 } }
      : {}),
    ...(orders.task === 'forget' ? { forget: { removed: [...orders.snapshots], bytesFreed: 4096 } } : {}),
    warnings: [],
    warningCount: 0,
    ...changes,
  };
}

export function failed(orders: MoverOrders, code: string, message: string, retryable: boolean): MoverEnd {
  const value = result(orders, { outcome: 'failed', failure: { code, message, retryable } });
  return {
    exitCode: retryable ? 75 : 1,
    reason: 'Error',
    message: JSON.stringify({ ...value, backup: undefined, restore: undefined, forget: undefined }),
  };
}

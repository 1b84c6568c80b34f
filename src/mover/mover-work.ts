import type { MoverOrders, MoverResult } from '../api/index.ts';
import type { Engine } from '../restic/contract.ts';
import type { ObjectStore } from '../storage/index.ts';
import type { KmsProviders } from './kms-providers.ts';
import type { MoverLines } from './mover-lines.ts';
import type { Pulse } from './pulse.ts';

/** What a task works with. */
export interface MoverWork<Orders extends MoverOrders = MoverOrders> {
  readonly orders: Orders;
  readonly engine: Engine;
  /** At the tenant's prefix, `<prefix>/tenants/<tenantId>/`. */
  readonly tenantStore: ObjectStore;
  readonly kms: KmsProviders;
  readonly lines: MoverLines;
  readonly pulse: Pick<Pulse, 'waitingFor'>;
  readonly signal: AbortSignal;
  readonly now: () => Date;
  /** Where the bridge listens that reads streams. */
  readonly bridgeSocket: string;
}

/** What a task adds to the result. */
export type TaskOutcome = Pick<MoverResult, 'backup' | 'restore' | 'forget' | 'verify' | 'warnings' | 'warningCount'>;

/** The locks of attempts that the operator knows to be dead are in nobody's way. */
export function lockOptions(orders: MoverOrders): { hostname: string; deadHostnames: readonly string[] } {
  return { hostname: orders.attempt.name, deadHostnames: orders.deadAttempts };
}

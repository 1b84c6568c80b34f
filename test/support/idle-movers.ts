// A mover context for controllers that are tested without movers: whoever asks it for one is told that none can be had.
import { PortError, moverContext, type AuditRecorder, type Caches, type TenantEraser, type Clock } from '../../src/controller/index.ts';
import type { MoverContext } from '../../src/controller/mover/index.ts';
import type { KubeConnection } from '../../src/kube/index.ts';

/** A trail that takes everything. */
export const noAudit: AuditRecorder = { record: () => Promise.resolve() };

/** A tenant of which nothing is left. */
export const noEraser: TenantEraser = { step: () => Promise.resolve({ removed: 0, bytes: 0, remaining: 0, lockedUntil: undefined, replicaRemaining: undefined }) };

export function idleMovers(connection: KubeConnection, caches: Caches, clock: Clock): MoverContext {
  const refuse = () => Promise.reject(new PortError('BadCredentials', 'this test has no storage', { retryable: false }));
  return moverContext({ connection, caches, ports: { clock, credentialMinter: { mint: refuse }, resultReader: { read: refuse }, audit: noAudit }, moverImage: 'mover:1', moverNamespace: 'movers' });
}

import { AuditTrail, newAuditKeys, openAuditSigner, type AuditEntry, type AuditSigner, type RecordedEvent } from '../../src/audit/index.ts';
import { MemoryStore, type ObjectStore } from '../../src/storage/index.ts';

export const AUDIT_TENANT = '0123456789abcdef0123456789abcdef';

/** A signer with keys of its own. */
export function freshSigner(): AuditSigner {
  return openAuditSigner(newAuditKeys());
}

export function trailOn(store: ObjectStore, signer: AuditSigner, tenantId = AUDIT_TENANT): { record(entry: AuditEntry): Promise<RecordedEvent> } {
  const trail = new AuditTrail({ tenantId, signer, now: () => new Date('2030-01-01T00:00:00Z') });
  return { record: (entry) => trail.record(store, entry) };
}

/** A store with a trail of that many events, on which nobody has laid a hand. */
export async function storeWithTrail(count: number, signer: AuditSigner, tenantId = AUDIT_TENANT): Promise<MemoryStore> {
  const store = new MemoryStore();
  const trail = trailOn(store, signer, tenantId);
  for (let at = 1; at <= count; at += 1) {
    await trail.record({ id: `backup-${at}/stored`, action: 'backup.stored', actor: 'operator', object: `Backup/shop/b${at}`, details: { files: at } });
  }
  return store;
}

export async function copyOf(store: ObjectStore): Promise<MemoryStore> {
  const copy = new MemoryStore('replica');
  for await (const { key } of store.list('')) await copy.put(key, await store.get(key));
  return copy;
}

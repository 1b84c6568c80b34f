import type { BackupLocation } from '../../api/index.ts';
import type { AuditRecord } from '../../decide/index.ts';
import { PortError, type AuditRecorder } from '../ports.ts';

/** Records how something ended. What succeeded is on record or not told; what failed is told although its bucket cannot be reached. */
export function recordUnlessFailed(audit: AuditRecorder, location: BackupLocation, tenantId: string, record: AuditRecord, signal: AbortSignal): Promise<void> {
  return record.action.endsWith('.failed') ? recordIfPossible(audit, location, tenantId, record, signal) : audit.record(location, tenantId, record, signal);
}

/** The condition that follows says the same; that the bucket is out of reach, the location says. */
export async function recordIfPossible(audit: AuditRecorder, location: BackupLocation, tenantId: string, record: AuditRecord, signal: AbortSignal): Promise<void> {
  try {
    await audit.record(location, tenantId, record, signal);
  } catch (error) {
    if (!(error instanceof PortError)) throw error;
  }
}

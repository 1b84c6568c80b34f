/**
 * The audit trail of a tenant (`docs/layout.md`, "Audit trail"): signed, numbered events that name each other by hash, and signed heads.
 * The installation's key signs the tenants' records as well. Stands on `api/` and `storage/`. Nothing personal enters: people appear as pseudonyms.
 */
export { AuditError, type AuditErrorCode, type AuditErrorOptions } from './errors.ts';
export { AUDIT_VERSION, AuditEvent, AuditHead, decodeEvent, decodeHead, eventKey, headKey, NO_EVENT, signEvent, signHead, type AuditDetails } from './event.ts';
export { fingerprintOf, isSignedBy, newAuditKeys, openAuditSigner, type AuditKeys, type AuditSigner } from './signer.ts';
export { openRecord, sealRecord, type OpenedRecord } from './sealed-record.ts';
export { AuditTrail, type AuditEntry, type AuditTrailOptions, type RecordedEvent } from './trail.ts';
export { readEvents, verifyTrail, type AuditFinding, type AuditVerification, type VerifyOptions } from './verify.ts';

import * as z from 'zod';
import { Conditions } from './condition.ts';
import { ObjectName, TenantId } from './fields.ts';
import { defineKind, withRules, type KubernetesResource } from './kind.ts';

export const BackupTenantSpec = withRules(
  z.object({
    tenantId: TenantId.meta({ description: 'Random id of 16 bytes; the name of the tenant in buckets and encryption contexts.' }),
    namespace: ObjectName.meta({ description: "The customer's namespace." }),
    namespaceUID: z.string().min(1).max(64).meta({ description: 'UID of that namespace. A namespace of the same name made later is another tenant.' }),
    location: ObjectName.meta({ description: 'The BackupLocation that keeps the backups.' }),
    keyGeneration: z.int().min(1).max(1_000_000).optional().meta({
      description:
        'Asks for a new secret key: set it to `status.keyGeneration` plus one. The next backup is a full one into a repository of its own; what was stored before stays readable with its own key.',
    }),
    erasure: z
      .object({
        confirm: z.string().max(32).optional().meta({
          description: 'The tenantId once more orders the erasure. It cannot be taken back, and nobody can bring the data back.',
        }),
        requestedBy: z.string().max(256).optional().meta({ description: 'Who asked for it, as a pseudonym or a subject.' }),
        reason: z.string().max(1024).optional().meta({ description: 'Why, for the audit trail: a contract or a ticket, no personal data.' }),
      })
      .optional()
      .meta({ description: 'Asks that everything of this customer be destroyed: wrapped keys first, then everything else as its locks end. Never implied by deleting anything.' }),
  }),
  {
    rule: 'self.tenantId == oldSelf.tenantId && self.__namespace__ == oldSelf.__namespace__ && self.namespaceUID == oldSelf.namespaceUID && self.location == oldSelf.location',
    message: 'tenantId, namespace, namespaceUID and location of a BackupTenant cannot be changed: they name the data of one customer',
  },
  { rule: '!has(oldSelf.keyGeneration) || has(self.keyGeneration)', message: 'keyGeneration cannot be taken back: the generation is there' },
  { rule: '!has(self.erasure) || !has(self.erasure.confirm) || self.erasure.confirm == self.tenantId', message: 'spec.erasure.confirm must be the tenantId of this BackupTenant, letter by letter' },
  {
    rule: '!has(oldSelf.erasure) || !has(oldSelf.erasure.confirm) || (has(self.erasure) && self.erasure == oldSelf.erasure)',
    message: 'an erasure that is confirmed cannot be changed or taken back',
  },
);
export type BackupTenantSpec = z.infer<typeof BackupTenantSpec>;

export const BackupTenantStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  phase: z.enum(['Active', 'NamespaceGone']).optional().meta({ description: 'For people: whether the namespace still exists.' }),
  keyGeneration: z.int().min(1).optional().meta({ description: 'The generation of the secret key that new backups are encrypted with.' }),
  keyGenerationSince: z.string().optional().meta({ format: 'date-time', description: 'Since when that generation is the newest.' }),
  policies: z.int().min(0).optional().meta({ description: 'Policies in the namespace.' }),
  backups: z.int().min(0).optional().meta({ description: 'Backups that are kept.' }),
  erasure: z
    .object({
      phase: z.enum(['Asked', 'Blocked', 'Erasing', 'Waiting', 'Erased']).meta({ description: 'For people: how far it is. Programs read the condition `Erased`.' }),
      orderedAt: z.string().optional().meta({ format: 'date-time', description: 'When it was recorded as ordered; nothing is stored for this tenant since.' }),
      keysDestroyedAt: z.string().optional().meta({ format: 'date-time', description: 'Since when no wrapped key is left in this data center.' }),
      completedAt: z.string().optional().meta({ format: 'date-time', description: 'When nothing but the audit trail was left.' }),
      removed: z.int().min(0).optional().meta({ description: 'Object versions that were removed.' }),
      bytes: z.int().min(0).optional().meta({ description: 'Bytes of those.' }),
      remaining: z.int().min(0).optional().meta({ description: 'Object versions that are left, both data centers together.' }),
      lockedUntil: z.string().optional().meta({ format: 'date-time', description: 'When the last known lock of this data center ends.' }),
      lookedAt: z.string().optional().meta({ format: 'date-time', description: 'When the buckets were last gone through.' }),
      nextLookAt: z.string().optional().meta({ format: 'date-time', description: 'When it goes on, or earlier where the second data center has been copied to or collected since the last look.' }),
    })
    .optional()
    .meta({ description: 'The erasure that was asked for.' }),
  conditions: Conditions.optional(),
});
export type BackupTenantStatus = z.infer<typeof BackupTenantStatus>;
export type BackupTenant = KubernetesResource<BackupTenantSpec, BackupTenantStatus>;

export const backupTenant = defineKind({
  kind: 'BackupTenant',
  plural: 'backuptenants',
  singular: 'backuptenant',
  shortNames: ['bt'],
  scope: 'Cluster',
  description: 'A customer: made by the operator for a namespace with its first policy, bound to the UID of that namespace, and kept after the namespace is gone.',
  spec: BackupTenantSpec,
  status: BackupTenantStatus,
  rules: [
    {
      // Only where it changes: a tenant that is written back from a backup of the cluster has no status yet.
      rule: '!has(self.spec.keyGeneration) || (has(oldSelf.spec.keyGeneration) && self.spec.keyGeneration == oldSelf.spec.keyGeneration) || self.spec.keyGeneration == (has(oldSelf.status) && has(oldSelf.status.keyGeneration) ? oldSelf.status.keyGeneration : 1) + 1',
      message: 'spec.keyGeneration must be one above status.keyGeneration: keys are rotated one generation at a time',
    },
  ],
  columns: [
    { name: 'Namespace', type: 'string', jsonPath: '.spec.namespace', description: "The customer's namespace." },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Whether the namespace still exists.' },
    { name: 'Location', type: 'string', jsonPath: '.spec.location', description: 'Where the backups are kept.' },
    { name: 'Backups', type: 'integer', jsonPath: '.status.backups', description: 'Backups that are kept.' },
    { name: 'Key', type: 'integer', jsonPath: '.status.keyGeneration', description: 'Generation of the secret key.' },
    { name: 'Erasure', type: 'string', jsonPath: '.status.erasure.phase', description: 'How far the erasure is that was asked for.', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
  ],
});

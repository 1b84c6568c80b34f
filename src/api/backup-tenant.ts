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
  }),
  {
    rule: 'self.tenantId == oldSelf.tenantId && self.__namespace__ == oldSelf.__namespace__ && self.namespaceUID == oldSelf.namespaceUID && self.location == oldSelf.location',
    message: 'tenantId, namespace, namespaceUID and location of a BackupTenant cannot be changed: they name the data of one customer',
  },
  { rule: '!has(oldSelf.keyGeneration) || has(self.keyGeneration)', message: 'keyGeneration cannot be taken back: the generation is there' },
);
export type BackupTenantSpec = z.infer<typeof BackupTenantSpec>;

export const BackupTenantStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  phase: z.enum(['Active', 'NamespaceGone']).optional().meta({ description: 'For people: whether the namespace still exists.' }),
  keyGeneration: z.int().min(1).optional().meta({ description: 'The generation of the secret key that new backups are encrypted with.' }),
  keyGenerationSince: z.string().optional().meta({ format: 'date-time', description: 'Since when that generation is the newest.' }),
  policies: z.int().min(0).optional().meta({ description: 'Policies in the namespace.' }),
  backups: z.int().min(0).optional().meta({ description: 'Backups that are kept.' }),
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
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
  ],
});

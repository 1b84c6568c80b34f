import {
  API_VERSION,
  backup,
  backupLocation,
  backupPolicy,
  backupTenant,
  restore,
  type Backup,
  type BackupLocation,
  type BackupPolicy,
  type BackupTenant,
  type KubernetesResource,
  type Restore,
} from '../api/index.ts';
import type { KubeObject, ResourceType } from './object.ts';
import { projectMeta } from './project-meta.ts';

/**
 * Our own kinds. The API server has checked spec and status against the CRD that the same zod schemas generate, so they are not
 * parsed a second time for each of 70,000 objects.
 */
function ownType<T extends KubernetesResource<object, object>>(definition: { readonly kind: string; readonly plural: string; readonly scope: 'Namespaced' | 'Cluster' }): ResourceType<T> {
  return {
    apiVersion: API_VERSION,
    kind: definition.kind,
    plural: definition.plural,
    namespaced: definition.scope === 'Namespaced',
    strict: true,
    project: (raw: KubeObject & { readonly spec?: object; readonly status?: object }) =>
      ({
        apiVersion: API_VERSION,
        kind: definition.kind,
        metadata: projectMeta(raw.metadata),
        spec: raw.spec ?? {},
        ...(raw.status === undefined ? {} : { status: raw.status }),
      }) as unknown as T,
  };
}

export const BACKUP_LOCATIONS: ResourceType<BackupLocation> = ownType<BackupLocation>(backupLocation);
export const BACKUP_TENANTS: ResourceType<BackupTenant> = ownType<BackupTenant>(backupTenant);
export const BACKUP_POLICIES: ResourceType<BackupPolicy> = ownType<BackupPolicy>(backupPolicy);
export const BACKUPS: ResourceType<Backup> = ownType<Backup>(backup);
export const RESTORES: ResourceType<Restore> = ownType<Restore>(restore);

/** BackupTenant: a customer, made for a namespace with its first policy, kept when the namespace is gone. */
export { tenantController, type TenantDependencies } from './tenant-controller.ts';

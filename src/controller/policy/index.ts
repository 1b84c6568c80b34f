/** BackupPolicy: whether a backup could be made, whether the customer is protected, and the quota's slots. */
export { policyController, type PolicyDependencies } from './policy-controller.ts';

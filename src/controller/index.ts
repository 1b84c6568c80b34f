/**
 * One folder a kind: observe, decide (`decide/`, pure), apply. What storage and keys do comes through `ports.ts`, so that no
 * controller knows the engine.
 */
export { allInformers, makeCaches, type Caches } from './caches.ts';
export { ReplicaStandings, locationController, type LocationDependencies } from './location/index.ts';
export { moverContext, moverControllers, type MoverControllersDependencies } from './mover-controllers.ts';
export { policyController, type PolicyDependencies } from './policy/index.ts';
export {
  PortError,
  type AuditRecorder,
  type Clock,
  type CredentialMinter,
  type Finding,
  type LocationFindings,
  type LocationProbe,
  type LockFinding,
  type LockProver,
  type MintedCredentials,
  type Ports,
  type RecoverySource,
  type ReplicationAccess,
  type ResultsOfRun,
  type TenantRecords,
  type ResultReader,
  type SecretLookup,
  type TenantEraser,
} from './ports.ts';
export type { RawSecret } from './raw-objects.ts';
export { recordController, type RecordDependencies } from './record/index.ts';
export { tenantController, type TenantDependencies } from './tenant/index.ts';

/**
 * The only thing that control and data share: the orders that a mover finds in a mounted file, the lines that it prints, the
 * result that it leaves. The operator writes orders and reads results; the mover does the opposite. A version that a reader
 * does not know is refused (design.md, invariant 9).
 */
import * as z from 'zod';
import { SnapshotId, TenantId } from './fields.ts';

export const MOVER_CONTRACT_VERSION = 1;

/** Where a mover that verifies restores files for a trial: an empty volume of the pod's own. */
export const SCRATCH_DIRECTORY = '/scratch';

/** Where a mover's pod finds what the operator gave it; both are keys of one mounted Secret. */
export const ORDERS_DIRECTORY = '/run/tenant-backup';
export const ORDERS_FILE = 'orders.json';
/** Re-read by the mover before the credentials in it expire; the operator renews them in the Secret. */
export const CREDENTIALS_FILE = 'credentials.json';
/** Claims are mounted at `/volumes/<claim>`. */
export const VOLUMES_DIRECTORY = '/volumes';

/** A mover's exit statuses. Anything else means that it was killed or broke. */
export const MOVER_EXIT = { done: 0, failed: 1, retryable: 75 } as const;

const Kms = z.discriminatedUnion('provider', [
  z.object({
    /** Names the entry of `credentials.kms`. */
    name: z.string().min(1),
    provider: z.literal('aws'),
    endpoint: z.string().optional(),
    caBundle: z.string().optional(),
    region: z.string(),
    keyId: z.string(),
    /** `wrap`: the second data center's, which this mover can encrypt with and nothing else. */
    use: z.enum(['wrapAndUnwrap', 'wrap']),
  }),
  z.object({ name: z.string().min(1), provider: z.literal('local'), keyId: z.string(), use: z.enum(['wrapAndUnwrap', 'wrap']) }),
]);
export type MoverKms = z.infer<typeof Kms>;

const common = {
  version: z.literal(MOVER_CONTRACT_VERSION),
  attempt: z.object({
    /** The Job's name; also the host name in restic's lock files. */
    name: z.string().min(1),
    number: z.int().min(1),
    /** UID of the Backup or Restore. */
    uid: z.string().min(1),
  }),
  tenant: z.object({ id: TenantId, generation: z.int().min(1) }),
  storage: z.object({
    endpoint: z.string().optional(),
    region: z.string(),
    bucket: z.string(),
    /** Without slashes at its ends; the tenant's objects lie below `<prefix>/tenants/<tenantId>/`. */
    prefix: z.string(),
    forcePathStyle: z.boolean(),
    caBundle: z.string().optional(),
    /** A bucket with Object Lock, of which what was put first is read, whatever was deleted or put on top. */
    isReplica: z.boolean().optional(),
  }),
  kms: z.array(Kms).min(1),
  /** Earlier attempts that are known to be dead: their locks may go. */
  deadAttempts: z.array(z.string()),
};

const volume = z.object({ claim: z.string().min(1), mountPath: z.string().min(1) });
const volumes = z.array(volume).min(1);

export const BackupOrders = z.object({
  ...common,
  task: z.literal('backup'),
  /** Empty where there are streams alone. */
  volumes: z.array(volume),
  /** Read from the bridge beside the mover. `mayFail`: without it the backup is not complete, instead of none. */
  streams: z.array(z.object({ name: z.string().min(1), mayFail: z.boolean() })).optional(),
  excludes: z.array(z.string()),
  policy: z.string(),
  backup: z.string(),
  /** Snapshots that must not serve as parent, for they are incomplete. */
  incompleteSnapshots: z.array(SnapshotId),
});
export type BackupOrders = z.infer<typeof BackupOrders>;

export const RestoreOrders = z.object({
  ...common,
  task: z.literal('restore'),
  volumes,
  snapshotId: SnapshotId,
  includes: z.array(z.string()),
  excludes: z.array(z.string()),
  deleteExtra: z.boolean(),
});
export type RestoreOrders = z.infer<typeof RestoreOrders>;

export const ForgetOrders = z.object({
  ...common,
  task: z.literal('forget'),
  snapshots: z.array(SnapshotId),
  /** Backups that may have left a snapshot although no result was seen: found by their `uid=` tag. */
  uids: z.array(z.string()),
  prune: z.boolean(),
});
export type ForgetOrders = z.infer<typeof ForgetOrders>;

export const VerifyOrders = z.object({
  ...common,
  task: z.literal('verify'),
  /** The packs that are read whole: part `part`, from 1, of `of`. Structure is checked of all. */
  readData: z.object({ part: z.int().min(1), of: z.int().min(1).max(256) }),
  /** Packs that an earlier run found damaged; read again, whatever part they are of. */
  damagedPacks: z.array(z.string()),
  /** Files that are restored for a trial; which ones, the seed says. */
  sample: z.object({ backup: z.string(), snapshotId: SnapshotId, files: z.int().min(1), bytes: z.int().min(1), seed: z.string() }),
  /** An empty directory with room for them. */
  scratch: z.string().min(1),
});
export type VerifyOrders = z.infer<typeof VerifyOrders>;

export const MoverOrders = z.discriminatedUnion('task', [BackupOrders, RestoreOrders, ForgetOrders, VerifyOrders]);
export type MoverOrders = z.infer<typeof MoverOrders>;

const StaticCredentials = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().optional(),
  /** RFC 3339; absent for credentials that do not expire. */
  expiration: z.string().optional(),
});

export const MoverCredentials = z.object({
  version: z.literal(MOVER_CONTRACT_VERSION),
  s3: StaticCredentials,
  /** By `name` of the KMS in the orders. `key`: a `local` provider's key, base64. */
  kms: z.record(z.string(), z.union([StaticCredentials, z.object({ key: z.string().min(1) })])),
});
export type MoverCredentials = z.infer<typeof MoverCredentials>;

/** One JSON line on stdout, at most one a second. */
export const ProgressLine = z.object({
  type: z.literal('progress'),
  filesDone: z.int().min(0),
  filesTotal: z.int().min(0).optional(),
  bytesDone: z.int().min(0),
  bytesTotal: z.int().min(0).optional(),
  bytesAdded: z.int().min(0),
});
export type ProgressLine = z.infer<typeof ProgressLine>;

/** Something that goes wrong while the mover still tries; shown in the resource's condition at once. */
export const TroubleLine = z.object({ type: z.literal('trouble'), code: z.string(), message: z.string() });
export type TroubleLine = z.infer<typeof TroubleLine>;

/**
 * It gets on, though there is nothing to count: a large index is read, packs are written anew, a dump is waited for. Printed each half minute in which
 * something came of the work; a mover that prints neither this nor progress hangs.
 */
export const AliveLine = z.object({ type: z.literal('alive') });
export type AliveLine = z.infer<typeof AliveLine>;

export const MoverLine = z.discriminatedUnion('type', [ProgressLine, TroubleLine, AliveLine]);
export type MoverLine = z.infer<typeof MoverLine>;

export const MoverFailure = z.object({
  /** A code of the engine's, the store's or the keys' errors, e.g. `Damaged`, `AccessDenied`, `KeyDisabled`. */
  code: z.string(),
  message: z.string(),
  retryable: z.boolean(),
});
export type MoverFailure = z.infer<typeof MoverFailure>;

/** Left at `g<generation>/results/<uid>-<attempt number>.json`, and, with at most 5 warnings, as the termination message (≤ 2 KiB). */
export const MoverResult = z.object({
  version: z.literal(MOVER_CONTRACT_VERSION),
  task: z.enum(['backup', 'restore', 'forget', 'verify']),
  attempt: z.string(),
  uid: z.string(),
  outcome: z.enum(['succeeded', 'failed']),
  startedAt: z.string(),
  finishedAt: z.string(),
  failure: MoverFailure.optional(),
  backup: z
    .object({
      snapshotId: SnapshotId,
      complete: z.boolean(),
      files: z.int().min(0),
      directories: z.int().min(0),
      filesUnchanged: z.int().min(0),
      bytesProcessed: z.int().min(0),
      bytesAdded: z.int().min(0),
    })
    .optional(),
  restore: z
    .object({
      complete: z.boolean(),
      files: z.int().min(0),
      directories: z.int().min(0),
      filesSkippedIdentical: z.int().min(0),
      bytesWritten: z.int().min(0),
      deleted: z.int().min(0),
    })
    .optional(),
  forget: z.object({ removed: z.array(z.string()), bytesFreed: z.int().min(0) }).optional(),
  verify: z
    .object({
      snapshots: z.int().min(0),
      packsChecked: z.int().min(0),
      packsRead: z.int().min(0),
      bytesRead: z.int().min(0),
      filesCompared: z.int().min(0),
      bytesCompared: z.int().min(0),
      /** Files that the scratch space had no room for. */
      filesTooLarge: z.int().min(0),
      /** What was found damaged; `warnings` has the words. */
      problems: z.int().min(0),
      damagedPacks: z.array(z.string()),
      /** Snapshots that cannot be restored whole, with how many files and the first of them. */
      affected: z.array(z.object({ snapshotId: z.string(), files: z.int().min(0), paths: z.array(z.string()) })),
    })
    .optional(),
  /** `path: message` */
  warnings: z.array(z.string()),
  warningCount: z.int().min(0),
  /** Peak resident memory, bytes. */
  peakMemory: z.int().min(0).optional(),
});
export type MoverResult = z.infer<typeof MoverResult>;

/** Key of a result, relative to the tenant's prefix `<prefix>/tenants/<tenantId>/`. */
export function resultKey(generation: number, uid: string, attempt: number): string {
  return `g${generation}/results/${uid}-${attempt}.json`;
}

/** Streams lie at `/streams/<name>` in a snapshot. */
export const STREAMS_DIRECTORY = '/streams';
/** What the stream bridge of a mover's pod is given; the mover's Secret has it as one more key, and the bridge sees no other. */
export const BRIDGE_DIRECTORY = '/run/tenant-backup-bridge';
export const BRIDGE_FILE = 'bridge.json';
/** A directory that mover and bridge share, and the socket in it: `GET /<name>` answers with the stream, and in the trailer how it ended. */
export const BRIDGE_SOCKET_DIRECTORY = '/run/streams';
export const BRIDGE_SOCKET = `${BRIDGE_SOCKET_DIRECTORY}/bridge.sock`;
/** The trailer: base64 of a `StreamEnd` in JSON. An answer without it broke off. */
export const STREAM_END = 'stream-end';

export const StreamEnd = z.object({
  ok: z.boolean(),
  /** For people, with the end of what the command wrote to standard error. */
  message: z.string(),
});
export type StreamEnd = z.infer<typeof StreamEnd>;

export const BridgeOrders = z.object({
  version: z.literal(MOVER_CONTRACT_VERSION),
  streams: z.array(
    z.object({
      name: z.string().min(1),
      /** Where to run it; or why that is not possible. */
      at: z.union([z.object({ namespace: z.string().min(1), pod: z.string().min(1), container: z.string().min(1) }), z.object({ refused: z.string() })]),
      command: z.array(z.string()).min(1),
      timeoutMs: z.int().min(1),
    }),
  ),
});
export type BridgeOrders = z.infer<typeof BridgeOrders>;

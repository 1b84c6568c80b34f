/** An IAM policy document. */
export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly PolicyStatement[];
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

/** Where a tenant's objects lie: `<prefix>/tenants/<tenantId>/`. `prefix` has no slashes at its ends; it may be empty. */
export function tenantPrefix(prefix: string, tenantId: string): string {
  return `${[prefix, 'tenants', tenantId].filter((part) => part !== '').join('/')}/`;
}

/** A bucket, and the path inside it below which a location lies; no slashes at its ends, or empty. */
export interface LocationPlace {
  readonly bucket: string;
  readonly prefix: string;
}

const GET = ['s3:GetObject', 's3:GetObjectVersion'] as const;
const WORKER_ACTIONS = {
  read: GET,
  copy: [...GET, 's3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts', 's3:GetObjectRetention', 's3:PutObjectRetention'],
  collect: [...GET, 's3:DeleteObject', 's3:DeleteObjectVersion'],
} as const;

/**
 * What a worker's session may do that keeps the second data center: with the tenants of one place what its task takes, and nothing else.
 * @param right - `read`, `copy` into, or `collect` in
 * @param more - whether it leaves its results here, and which place the service copies from by itself
 */
export function workerSessionPolicy(place: LocationPlace, right: keyof typeof WORKER_ACTIONS, more: { readonly leavesResults: boolean; readonly copiesFrom?: LocationPlace | undefined }): PolicyDocument {
  const allow = (Sid: string, Action: readonly string[], ...Resource: string[]): PolicyStatement => ({ Sid, Effect: 'Allow', Action, Resource });
  return {
    Version: '2012-10-17',
    Statement: [
      allow('Tenants', WORKER_ACTIONS[right], below(place, 'tenants')),
      // Without a condition on the prefix: to whoever may not list, a service says "denied" of an object that is gone.
      allow('Listing', ['s3:ListBucket', 's3:ListBucketVersions'], `arn:aws:s3:::${place.bucket}`),
      ...(more.leavesResults ? [allow('Results', ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], below(place, 'replication'))] : []),
      ...(more.copiesFrom === undefined ? [] : [allow('CopiedFrom', GET, below(more.copiesFrom, 'tenants'))]),
    ],
  };
}

function below({ bucket, prefix }: LocationPlace, folder: string): string {
  refuseWildcards(bucket, prefix);
  return `arn:aws:s3:::${bucket}/${[prefix, folder].filter((part) => part !== '').join('/')}/*`;
}

function refuseWildcards(bucket: string, prefix: string): void {
  if (/[*?$"\\]/.test(bucket + prefix)) throw new TypeError(`bucket and prefix of a session policy must not hold wildcards: ${bucket}/${prefix}`);
}

/**
 * What a mover's session may do: read, write, list and delete below its own tenant's prefix, and nothing else (design.md,
 * invariant 4). It narrows the rights of whoever mints the session and never widens them.
 * @param tenantId 16 random bytes, lower-case hex: nothing else is let into a policy, for `*` there would mean every tenant
 */
export function tenantSessionPolicy(bucket: string, prefix: string, tenantId: string): PolicyDocument {
  if (!/^[0-9a-f]{32}$/.test(tenantId)) throw new TypeError('a tenant id has 32 lower-case hex digits');
  refuseWildcards(bucket, prefix);
  const own = tenantPrefix(prefix, tenantId);
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'OwnObjects',
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
        Resource: [`arn:aws:s3:::${bucket}/${own}*`],
      },
      {
        Sid: 'OwnListing',
        Effect: 'Allow',
        Action: ['s3:ListBucket', 's3:ListBucketVersions'],
        Resource: [`arn:aws:s3:::${bucket}`],
        Condition: { StringLike: { 's3:prefix': [`${own}*`] } },
      },
      {
        // What the operator writes of this tenant: evidence is not left to whom it is about.
        Sid: 'NotTheOperators',
        Effect: 'Deny',
        Action: ['s3:PutObject', 's3:DeleteObject'],
        Resource: [`arn:aws:s3:::${bucket}/${own}audit/*`, `arn:aws:s3:::${bucket}/${own}tenant/*`],
      },
    ],
  };
}

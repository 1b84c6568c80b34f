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

/**
 * What a mover's session may do: read, write, list and delete below its own tenant's prefix, and nothing else (design.md,
 * invariant 4). It narrows the rights of whoever mints the session and never widens them.
 * @param tenantId 16 random bytes, lower-case hex: nothing else is let into a policy, for `*` there would mean every tenant
 */
export function tenantSessionPolicy(bucket: string, prefix: string, tenantId: string): PolicyDocument {
  if (!/^[0-9a-f]{32}$/.test(tenantId)) throw new TypeError('a tenant id has 32 lower-case hex digits');
  if (/[*?$"\\]/.test(bucket + prefix)) throw new TypeError(`bucket and prefix of a session policy must not hold wildcards: ${bucket}/${prefix}`);
  const below = tenantPrefix(prefix, tenantId);
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'OwnObjects',
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
        Resource: [`arn:aws:s3:::${bucket}/${below}*`],
      },
      {
        Sid: 'OwnListing',
        Effect: 'Allow',
        Action: ['s3:ListBucket', 's3:ListBucketVersions'],
        Resource: [`arn:aws:s3:::${bucket}`],
        Condition: { StringLike: { 's3:prefix': [`${below}*`] } },
      },
      {
        // What the operator writes of this tenant: evidence is not left to whom it is about.
        Sid: 'NotTheOperators',
        Effect: 'Deny',
        Action: ['s3:PutObject', 's3:DeleteObject'],
        Resource: [`arn:aws:s3:::${bucket}/${below}audit/*`, `arn:aws:s3:::${bucket}/${below}tenant/*`],
      },
    ],
  };
}

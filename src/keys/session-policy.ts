import type { PolicyDocument } from '../storage/index.ts';

/**
 * What a mover's session may do with a KMS key: wrap, and where it has to, unwrap, under its own tenant's encryption context and
 * no other (design.md, invariant 4). It narrows the rights of whoever mints the session and never widens them.
 * @param keyId an ARN is named in the policy; an id or alias has none, and then the minting principal's own rights say which keys
 * @param tenantId 16 random bytes, lower-case hex: nothing else is let into a policy
 */
export function tenantKmsPolicy(keyId: string, tenantId: string, use: 'wrapAndUnwrap' | 'wrap'): PolicyDocument {
  if (!/^[0-9a-f]{32}$/.test(tenantId)) throw new TypeError('a tenant id has 32 lower-case hex digits');
  if (/[*?$"\\]/.test(keyId)) throw new TypeError(`the KMS key of a session policy must not hold wildcards: ${keyId}`);
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'OwnContext',
        Effect: 'Allow',
        Action: use === 'wrap' ? ['kms:Encrypt'] : ['kms:Encrypt', 'kms:Decrypt'],
        // An alias stands for a key in requests; in policies it names nothing.
        Resource: [/^arn:[^:]+:kms:[^:]*:[^:]*:key\//.test(keyId) ? keyId : '*'],
        Condition: { StringEquals: { 'kms:EncryptionContext:tenant-backup/tenant': [tenantId] } },
      },
    ],
  };
}

/** The storage and the keys that a BackupLocation names: fields that both data centers share. */
import * as z from 'zod';
import { Duration, SecretReference } from './fields.ts';
import { withRules } from './kind.ts';

const httpUrl = z.string().max(2048).regex(/^https?:\/\/[^\s/?#]+(:[0-9]+)?\/?$/);

/** For services whose certificate an authority of the platform's own has signed. */
const CaBundle = withRules(z.string().max(262_144), { rule: "self.contains('-----BEGIN CERTIFICATE-----')", message: 'must be PEM, with `-----BEGIN CERTIFICATE-----`' });

/** One bucket of one S3 service, and who comes to it. */
export const S3Bucket = z.object({
  endpoint: httpUrl.optional().meta({ description: 'URL of the S3 service, e.g. `https://s3.example.com`. Leave out for AWS itself.' }),
  region: z.string().min(1).max(64).default('us-east-1').meta({ description: 'Region to sign requests for.' }),
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/)
    .meta({ description: 'Bucket that holds the backups of every tenant of this location. It must exist.' }),
  prefix: z
    .string()
    .max(512)
    .regex(/^([A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*)?$/)
    .default('')
    .meta({ description: 'Path inside the bucket, without slashes at its ends. Empty: the whole bucket.' }),
  forcePathStyle: z.boolean().default(true).meta({ description: 'Address the bucket in the path (MinIO and most others) instead of the host name.' }),
  caBundle: CaBundle.optional().meta({ description: 'PEM certificates to trust for this endpoint, beside the public ones.' }),
  credentialsSecretRef: SecretReference.meta({
    description: "Secret in the operator's namespace with the keys `accessKeyId` and `secretAccessKey`.",
  }),
});
export type S3Settings = z.infer<typeof S3Bucket>;

/** How long a session lasts. */
const sessionDuration = withRules(Duration, {
  // CEL's own durations know no days; STS services give 12 hours at most.
  rule: "!self.contains('d') && duration(self) >= duration('15m') && duration(self) <= duration('12h')",
  message: 'must be between 15m and 12h',
})
  .default('1h')
  .meta({ description: 'How long a session lasts, 15 minutes to 12 hours; it is renewed under a running mover.' });

export const S3 = S3Bucket.extend({
  sts: z
    .object({
      mode: z.enum(['Auto', 'Required', 'Disabled']).default('Auto').meta({
        description:
          '`Auto`: movers get a session confined to their own tenant where the endpoint offers STS, else the location\'s credentials (the condition `Isolated` says so); AWS offers it once `roleArn` names a role. An STS that refuses is an error, never a reason to go without. `Required`: no session, no backup. `Disabled`: never ask. The same for the workers that copy into the second data center.',
      }),
      endpoint: httpUrl.optional().meta({ description: 'URL of the STS service. Leave out where it is the S3 endpoint itself (MinIO), or for AWS.' }),
      roleArn: z.string().max(2048).optional().meta({ description: 'Role to assume. MinIO needs none.' }),
      sessionDuration,
    })
    .prefault({})
    .meta({ description: 'How movers get credentials that reach one tenant only.' }),
});

export type S3WithSessions = z.infer<typeof S3>;

const AwsKms = z.object({
  endpoint: httpUrl.optional().meta({ description: 'URL of the KMS. Leave out for AWS itself.' }),
  region: z.string().min(1).max(64).default('us-east-1').meta({ description: 'Region to sign requests for.' }),
  caBundle: CaBundle.optional().meta({ description: 'PEM certificates to trust for the KMS and its STS, beside the public ones.' }),
  keyId: z.string().min(1).max(2048).meta({ description: 'Id, ARN or alias of the KMS key that wraps the secret keys.' }),
  credentialsSecretRef: SecretReference.meta({
    description: "Secret in the operator's namespace with `accessKeyId` and `secretAccessKey`. This principal needs Encrypt and must not have Decrypt.",
  }),
  moverCredentialsSecretRef: SecretReference.optional().meta({
    description:
      'The same for movers, which need Encrypt and Decrypt. For the second data center it is left out, for the first may only encrypt with its key; set it there for as long as a Restore with `from: Replica` needs that key.',
  }),
  sts: z
    .object({
      endpoint: httpUrl.optional().meta({ description: "URL of the STS service. Leave out for AWS's own of the region." }),
      roleArn: z.string().min(1).max(2048).optional().meta({ description: 'Role to assume; AWS needs one, with Encrypt and, for movers that unwrap, Decrypt.' }),
      sessionDuration,
    })
    .optional()
    .meta({
      description:
        "Movers get a session that can use the key under their own tenant's encryption context only, made with the movers' credentials. Without a session there is no backup then. The condition `Isolated` says whether the KMS enforces it. Left out: movers share those credentials.",
    }),
});

export const Kms = withRules(
  z.object({
    provider: z.enum(['aws', 'local']).meta({
      description: '`aws`: the AWS KMS API at any endpoint. `local`: a key file in a Secret. For a try-out only: whoever reads that Secret reads every backup.',
    }),
    aws: AwsKms.optional().meta({ description: 'Settings of the `aws` provider.' }),
    local: z
      .object({ secretRef: SecretReference.meta({ description: "Secret in the operator's namespace with the key `key`: 32 random bytes in base64." }) })
      .optional()
      .meta({ description: 'Settings of the `local` provider.' }),
  }),
  { rule: "self.provider == 'aws' ? has(self.aws) && !has(self.local) : has(self.local) && !has(self.aws)", message: 'give exactly the settings of the chosen provider: `aws` or `local`' },
);
export type KmsSettings = z.infer<typeof Kms>;

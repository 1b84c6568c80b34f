import * as z from 'zod';
import { Conditions } from './condition.ts';
import { Duration, Labels, ObjectName, SecretReference } from './fields.ts';
import { defineKind, withRules, type KubernetesResource } from './kind.ts';

const httpUrl = z.string().max(2048).regex(/^https?:\/\/[^\s/?#]+(:[0-9]+)?\/?$/);

const S3 = z.object({
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
  caBundle: withRules(
    z.string().max(262_144),
    { rule: "self.contains('-----BEGIN CERTIFICATE-----')", message: 'must be PEM, with `-----BEGIN CERTIFICATE-----`' },
  )
    .optional()
    .meta({ description: 'PEM certificates to trust for this endpoint, beside the public ones.' }),
  credentialsSecretRef: SecretReference.meta({
    description: "Secret in the operator's namespace with the keys `accessKeyId` and `secretAccessKey`.",
  }),
  sts: z
    .object({
      mode: z.enum(['Auto', 'Required', 'Disabled']).default('Auto').meta({
        description:
          '`Auto`: movers get a session confined to their own tenant where the endpoint offers STS, else the location\'s credentials (the condition `Isolated` says so). `Required`: no session, no backup. `Disabled`: never ask.',
      }),
      endpoint: httpUrl.optional().meta({ description: 'URL of the STS service. Leave out where it is the S3 endpoint itself (MinIO), or for AWS.' }),
      roleArn: z.string().max(2048).optional().meta({ description: 'Role to assume. MinIO needs none.' }),
      sessionDuration: withRules(Duration, {
        // CEL's own durations know no days; STS services give 12 hours at most.
        rule: "!self.contains('d') && duration(self) >= duration('15m') && duration(self) <= duration('12h')",
        message: 'must be between 15m and 12h',
      })
        .default('1h')
        .meta({ description: 'How long a session lasts, 15 minutes to 12 hours; it is renewed under a running mover.' }),
    })
    .prefault({})
    .meta({ description: 'How movers get credentials that reach one tenant only.' }),
});

const AwsKms = z.object({
  endpoint: httpUrl.optional().meta({ description: 'URL of the KMS. Leave out for AWS itself.' }),
  region: z.string().min(1).max(64).default('us-east-1').meta({ description: 'Region to sign requests for.' }),
  keyId: z.string().min(1).max(2048).meta({ description: 'Id, ARN or alias of the KMS key that wraps the secret keys.' }),
  credentialsSecretRef: SecretReference.meta({
    description: "Secret in the operator's namespace with `accessKeyId` and `secretAccessKey`. This principal needs Encrypt and must not have Decrypt.",
  }),
  moverCredentialsSecretRef: SecretReference.optional().meta({
    description: 'The same for movers, which need Encrypt and Decrypt. Not used for the second data center, whose key the first may only encrypt with.',
  }),
});

const Kms = withRules(
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

const ResourceList = withRules(
  z.record(z.string(), z.string().max(32)).meta({ description: 'Quantities by resource name, e.g. `memory: 512Mi`.', maxProperties: 16 }),
  { rule: 'self.all(name, isQuantity(self[name]) && !self[name].startsWith("-"))', message: 'every value must be a quantity such as `500m` or `512Mi`' },
);

const Resources = withRules(
  z.object({ requests: ResourceList.optional(), limits: ResourceList.optional() }),
  {
    // What is no quantity is refused by the rule on the list itself.
    rule: '!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || !isQuantity(self.requests[name]) || !isQuantity(self.limits[name]) || quantity(self.requests[name]).compareTo(quantity(self.limits[name])) <= 0)',
    message: 'a request must not be above its limit',
  },
);

export const BackupLocationSpec = withRules(
  z.object({
    s3: S3.meta({ description: "This data center's object storage." }),
    kms: Kms.meta({ description: "This data center's key management." }),
    replica: z
      .object({ kms: Kms.meta({ description: "The second data center's key management. This installation needs Encrypt on it and nothing else." }) })
      .optional()
      .meta({ description: 'The second data center. Every secret key is wrapped there too, so that it alone can restore.' }),
    limits: z
      .object({
        movers: z.int().min(1).max(1000).default(10).meta({ description: 'Movers of this location that run at a time.' }),
        moversPerNamespace: z.int().min(1).max(1).default(1).meta({
          description: 'Movers of one namespace that run at a time. All backups of a namespace share one repository with one writer, so it is 1 and more is refused.',
        }),
        moversPerNode: z.int().min(1).max(1000).optional().meta({
          description: 'Movers that run on one node at a time, counted where the node is known: a mover runs on the node that holds its volume. Leave out for no limit.',
        }),
      })
      .prefault({})
      .meta({ description: 'How much may run at once.' }),
    mover: z
      .object({
        image: z.string().min(1).max(1024).optional().meta({ description: "Image of the movers. Leave out for the operator's own." }),
        imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional().meta({ description: 'When the kubelet pulls the image.' }),
        resources: Resources
          .prefault({ requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } })
          .meta({ description: 'Resources of a mover.' }),
        nodeSelector: Labels.optional().meta({ description: 'Labels of nodes that movers may run on.' }),
        priorityClassName: ObjectName.optional().meta({ description: "Priority class of the movers' pods." }),
      })
      .prefault({})
      .meta({ description: 'How movers run.' }),
  }),
  { rule: 'self.s3.bucket == oldSelf.s3.bucket && self.s3.prefix == oldSelf.s3.prefix', message: 'spec.s3.bucket and spec.s3.prefix cannot be changed: the backups lie there. Make a new BackupLocation instead' },
);
export type BackupLocationSpec = z.infer<typeof BackupLocationSpec>;

export const BackupLocationStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  phase: z.enum(['Ready', 'NotReady']).optional().meta({ description: 'For people: whether backups can be made here.' }),
  lastProbe: z.string().optional().meta({ format: 'date-time', description: 'When storage and keys were last tried.' }),
  tenants: z.int().min(0).optional().meta({ description: 'How many tenants keep backups here.' }),
  runningMovers: z.int().min(0).optional().meta({ description: 'Movers that run now.' }),
  conditions: Conditions.optional(),
});
export type BackupLocationStatus = z.infer<typeof BackupLocationStatus>;
export type BackupLocation = KubernetesResource<BackupLocationSpec, BackupLocationStatus>;

export const backupLocation = defineKind({
  kind: 'BackupLocation',
  plural: 'backuplocations',
  singular: 'backuplocation',
  shortNames: ['bl'],
  scope: 'Cluster',
  description: "Where backups go: this data center's S3 and KMS, the second data center's KMS, limits, and how movers run.",
  spec: BackupLocationSpec,
  status: BackupLocationStatus,
  rules: [],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status', description: 'Whether backups can be made here.' },
    { name: 'Isolated', type: 'string', jsonPath: '.status.conditions[?(@.type=="Isolated")].status', description: "Whether a mover's credentials reach its own tenant only." },
    { name: 'Bucket', type: 'string', jsonPath: '.spec.s3.bucket', description: 'The bucket.' },
    { name: 'Tenants', type: 'integer', jsonPath: '.status.tenants', description: 'Tenants that keep backups here.' },
    { name: 'Running', type: 'integer', jsonPath: '.status.runningMovers', description: 'Movers that run now.' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason', description: 'Why it is ready or not.' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
  ],
});

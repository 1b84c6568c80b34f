import type { HttpOptions } from '../request-handler.ts';

/** Static credentials, or those of a session. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** From when on they are no longer good; the client asks its provider again before that. */
  readonly expiration?: Date;
}

/** Asked for credentials before the first request, when they are about to expire, and after they were refused as expired. */
export type S3CredentialProvider = () => Promise<S3Credentials>;

/** How to reach an S3 service. What a repository URL says goes before what stands here. */
export interface S3Connection extends HttpOptions {
  /** Scheme, host and port; AWS's own endpoint of the region where absent. */
  readonly endpoint?: string;
  readonly region?: string;
  /** Where absent: the AWS SDK's chain (environment, profile, web identity, instance). */
  readonly credentials?: S3Credentials | S3CredentialProvider;
  /** Requests at a time; more wait in line. Streams and listings that a caller holds open are not counted. */
  readonly maxRequests?: number;
  /** Bodies larger than this are sent in parts, in parallel. Bytes; S3 takes no part below 5 MiB. */
  readonly partSize?: number;
}

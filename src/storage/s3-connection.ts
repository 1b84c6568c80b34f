/** Static credentials, or those of a session. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** From when on they are no longer good; the client asks its provider again before that. */
  readonly expiration?: Date;
}

/** Asked for credentials before requests, and again when they are about to expire or were refused as expired. */
export type S3CredentialProvider = () => Promise<S3Credentials>;

export interface S3Connection {
  /** Scheme, host and port; AWS's own endpoint of the region where absent. */
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle?: boolean;
  /** Where absent: the AWS SDK's chain (environment, profile, web identity, instance). */
  readonly credentials?: S3Credentials | S3CredentialProvider;
  /** PEM of certificate authorities to trust beside the system's. */
  readonly caBundle?: string;
  /** Sockets kept to the endpoint; more requests than this wait in line. */
  readonly maxSockets?: number;
  /** Milliseconds until a connection must stand. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds that a connection may be silent in the middle of a request. */
  readonly idleTimeoutMs?: number;
}

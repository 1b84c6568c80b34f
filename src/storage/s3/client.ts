import { S3Client } from '@aws-sdk/client-s3';
import type { S3Connection } from './connection.ts';
import { handlerOptions } from '../request-handler.ts';
import { RenewingCredentials } from '../renewing-credentials.ts';
import type { ServiceClock } from '../service-clock.ts';
import { S3Handler } from './strangers.ts';

/** A service of our own is asked in some region or other; this is what they expect when none is set. */
const DEFAULT_REGION = 'us-east-1';
export interface S3ClientHandle {
  readonly client: S3Client;
  readonly clock: ServiceClock;
  /** Present when the credentials can be asked for anew. */
  readonly credentials?: RenewingCredentials;
}

/** An SDK client that leaves retries to us, hashes nothing twice, and keeps its connections. */
export function createS3Client(connection: S3Connection & { readonly pathStyle: boolean }): S3ClientHandle {
  const credentials = RenewingCredentials.of(connection.credentials);
  const region = connection.region ?? (connection.endpoint === undefined ? undefined : DEFAULT_REGION);
  const handler = new S3Handler(handlerOptions(connection));
  const client = new S3Client({
    ...(region === undefined ? {} : { region }),
    ...(connection.endpoint === undefined ? {} : { endpoint: connection.endpoint }),
    ...(credentials === undefined
      ? {}
      : { credentials: () => credentials.forSdk() }),
    forcePathStyle: connection.pathStyle,
    requestHandler: handler,
    maxAttempts: 1,
    // The server checks the SHA-256 that we send with each body (engine.md, "Uploading"); a second checksum costs time.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It would cost a round trip for each pack.
    expectContinueHeader: false,
  });
  const { clock } = handler;
  return credentials === undefined ? { client, clock } : { client, clock, credentials };
}

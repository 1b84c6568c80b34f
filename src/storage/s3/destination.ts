import { GetObjectCommand, type GetObjectCommandInput, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import type { FinalizeRequestMiddleware, HttpRequest, RequestSigner } from '@smithy/types';

/** Where the objects of a bucket are asked for, and who signs that. */
export interface Destination {
  readonly signer: RequestSigner;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  /** What stands before an object's encoded key. */
  readonly folder: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Any would do: what a service calls a bucket does not depend on what is in it. */
const SOME_KEY = 'k';

/**
 * What the SDK would do with a request for an object of the bucket, by its own rules (path style, region, FIPS, dual stack, …), learned from one that
 * is made and not sent. `undefined` where it would not sign it with Signature Version 4 as everybody knows it.
 */
export async function findDestination(client: S3Client, bucket: string): Promise<Destination | undefined> {
  let made: { request: HttpRequest; scheme: Parameters<S3Client['config']['signer']>[0] } | undefined;
  const keep: FinalizeRequestMiddleware<GetObjectCommandInput, GetObjectCommandOutput> = (_, context) => (args) => {
    if (isHttpRequest(args.request)) made = { request: args.request, scheme: context.endpointV2?.properties?.authSchemes?.[0] };
    return Promise.resolve({ response: undefined, output: { $metadata: {} } });
  };
  const command = new GetObjectCommand({ Bucket: bucket, Key: SOME_KEY });
  command.middlewareStack.add(keep, { step: 'finalizeRequest', priority: 'high', name: 'keepRequest' });
  await client.send(command);
  if (made === undefined || made.scheme?.name !== 'sigv4' || !made.request.path.endsWith(`/${SOME_KEY}`)) return undefined;
  const { protocol, hostname, port, path, headers } = made.request;
  return {
    signer: await client.config.signer(made.scheme),
    protocol,
    hostname,
    ...(port === undefined ? {} : { port }),
    folder: path.slice(0, -SOME_KEY.length),
    headers: {
      host: port === undefined ? hostname : `${hostname}:${port}`,
      ...(headers['user-agent'] === undefined ? {} : { 'user-agent': headers['user-agent'] }),
    },
  };
}

function isHttpRequest(request: unknown): request is HttpRequest {
  return typeof request === 'object' && request !== null && 'hostname' in request && 'headers' in request;
}

import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { DeserializeMiddleware, HttpResponse } from '@smithy/types';
import { ServiceClock } from '../service-clock.ts';

/** What answered is no S3 service, whatever its status says: a proxy's page while the service is away, mostly. */
export class NotS3 extends Error {
  override readonly name = 'NotS3';
}

/** Pages that a service never answers with: a success or a way elsewhere in HTML, and an absence in anything but XML. Nothing of ours is stored as any. */
const PAGE = /^text\/html\b/i;
const PAGE_OF_ABSENCE = /^(?:text\/html|text\/plain)\b/i;

/** The SDK's handler of requests, which believes no web page: proxies have them with a status of 200, or a 404 where no object is meant. */
export class S3Handler extends NodeHttpHandler {
  readonly clock = new ServiceClock();

  override async handle(...[request, options]: Parameters<NodeHttpHandler['handle']>): Promise<{ response: HttpResponse }> {
    const { response } = await super.handle(request, options);
    if (!isPage(response, request.method)) {
      this.clock.hear(response.headers['date']);
      return { response };
    }
    if (response.body instanceof Readable) response.body.destroy();
    throw new NotS3('a web page answered');
  }
}

function isPage({ statusCode, headers }: HttpResponse, method: string): boolean {
  const type = headers['content-type'] ?? '';
  if (headers['content-length'] === '0') return false;
  // What a HEAD is refused with has no words, and is asked again with a GET that has.
  if (statusCode === 404) return method !== 'HEAD' && PAGE_OF_ABSENCE.test(type);
  return statusCode >= 200 && statusCode < 400 && PAGE.test(type);
}

/**
 * The SDK reads any XML, or none at all, as an answer in which nothing is listed and nothing failed.
 * @throws {NotS3} for words that do not end as an answer of one of these kinds does
 */
export function assertWhole(said: string, roots: readonly string[]): void {
  const end = said.trimEnd().slice(-1000);
  if (roots.some((root) => end.endsWith(`</${root}>`) || end.endsWith(`:${root}>`) || new RegExp(`<(?:\\w+:)?${root}(?:\\s[^<>]*)?/>$`).test(end))) return;
  throw new NotS3(`an answer does not end as a ${roots[0] ?? ''} does`);
}

/** Between the SDK's reading of an answer and the answer. */
export const AT_ANSWER = { step: 'deserialize', priority: 'low', name: 'plainAnswer' } as const;

/** Reads the words of a success before the SDK does. @param read - what the SDK is to read instead */
export function readingFirst<Input extends object, Output extends object>(read: (said: string) => string): DeserializeMiddleware<Input, Output> {
  return (next) => async (args) => {
    const result = await next(args);
    const { response } = result;
    if (!isReadable(response) || response.statusCode !== 200) return result;
    const left = read(await text(response.body));
    return { ...result, response: Object.assign(response, { body: Readable.from([Buffer.from(left)]) }) };
  };
}

function isReadable(response: unknown): response is { readonly statusCode: number; readonly body: Readable } {
  return typeof response === 'object' && response !== null && 'body' in response && response.body instanceof Readable && 'statusCode' in response;
}

/** Every service names what it has stored; who does not has stored nothing. @throws {NotS3} */
export function assertStored(etag: string | undefined): void {
  if (etag === undefined) throw new NotS3('an answer to something that was to be stored has no ETag');
}

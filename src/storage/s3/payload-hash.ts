import type { BuildHandlerOptions, BuildMiddleware } from '@smithy/types';

/** How to add `payloadHash` to a command's middleware stack. */
export const AT_BUILD = { step: 'build', name: 'knownPayloadHash', override: true } as const satisfies BuildHandlerOptions;

/**
 * Gives the signer the body's SHA-256 before it would compute it: 0.31 instead of 1.1 ms of client CPU a MiB (engine.md,
 * "Uploading"). The server still checks it against what arrives.
 */
export function payloadHash<Input extends object, Output extends object>(sha256: string): BuildMiddleware<Input, Output> {
  return (next) => (args) => {
    if (hasHeaders(args.request)) args.request.headers['x-amz-content-sha256'] = sha256;
    return next(args);
  };
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}

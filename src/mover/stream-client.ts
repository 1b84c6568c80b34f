import { request, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM_END, StreamEnd } from '../api/index.ts';
import { MoverError } from './errors.ts';

/** The bridge is started beside the mover; until it listens it is asked again. */
const BRIDGE_STARTS_MS = 60_000;
const ASK_AGAIN_MS = 100;

/**
 * The bytes of a stream, as the bridge beside this mover reads them; the mover itself has no right in Kubernetes.
 * @throws {MoverError} `StreamFailed`, also when it breaks off; `StreamEmpty`
 */
export async function* readStream(name: string, socketPath: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const answer = await ask(name, socketPath, signal);
  let isEmpty = true;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      isEmpty = false;
      yield piece;
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw new MoverError('StreamFailed', `stream ${name} broke off: ${wordsOf(cause)}`, { retryable: true, cause });
  } finally {
    answer.destroy();
  }
  const end = endOf(answer);
  if (end === undefined) throw new MoverError('StreamFailed', `stream ${name} broke off before its command had ended`, { retryable: true });
  if (!end.ok) throw new MoverError('StreamFailed', `stream ${name} is not whole: ${end.message}`, { retryable: true });
  if (isEmpty) throw new MoverError('StreamEmpty', `the command of stream ${name} ended well, but wrote nothing: an empty dump is none. Check the command in the BackupPolicy`, { retryable: false });
}

async function ask(name: string, socketPath: string, signal: AbortSignal): Promise<IncomingMessage> {
  const until = performance.now() + BRIDGE_STARTS_MS;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await askOnce(name, socketPath, signal);
    } catch (cause) {
      const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
      const isStarting = code === 'ENOENT' || code === 'ECONNREFUSED';
      if (!isStarting || performance.now() > until) {
        signal.throwIfAborted();
        throw new MoverError('StreamFailed', `the bridge that reads stream ${name} does not answer: ${wordsOf(cause)}`, { retryable: true, cause });
      }
    }
    await sleep(ASK_AGAIN_MS);
  }
}

async function askOnce(name: string, socketPath: string, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asked = request({ socketPath, path: `/${encodeURIComponent(name)}`, signal, agent: false }, resolve);
  asked.on('error', reject);
  asked.end();
  const answer = await promise;
  if (answer.statusCode === 200) return answer;
  answer.destroy();
  throw new Error(`it answered ${answer.statusCode ?? 0}`);
}

function endOf({ trailers }: IncomingMessage): StreamEnd | undefined {
  const text = trailers[STREAM_END];
  if (text === undefined) return undefined;
  try {
    return StreamEnd.parse(JSON.parse(Buffer.from(text, 'base64').toString('utf8')));
  } catch {
    return undefined;
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { Writable } from 'node:stream';
import { Exec, type V1Status } from '@kubernetes/client-node';
import type { KubeConnection } from './connection.ts';
import { KubeError } from './errors.ts';
import { OutputTail } from './output-tail.ts';

export interface PodContainer {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** How a command ended. */
export interface ExecEnd {
  readonly ok: boolean;
  /** `undefined` where it could not be run at all. */
  readonly exitCode: number | undefined;
  /** For people: `it ended with status 3`. */
  readonly message: string;
}

export interface ExecOutputs {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/**
 * Runs a command in a container and resolves when it has ended, all output written. The connection is not read faster than `stdout` takes it,
 * and so the command cannot write faster. Aborted, it lets go of the command, which may go on inside the container.
 * @throws {KubeError} `Aborted`; `Unavailable`, `Forbidden` or `NotFound` when it cannot be reached or the connection breaks
 */
export async function execInPod(connection: KubeConnection, at: PodContainer, command: readonly string[], outputs: ExecOutputs, signal: AbortSignal): Promise<ExecEnd> {
  const where = `pod ${at.pod}, container ${at.container}`;
  signal.throwIfAborted();
  const ended = Promise.withResolvers<V1Status>();
  ended.promise.catch(() => undefined);
  const gate = new Gate(outputs.stdout);
  const connecting = connect(connection, at, command, { stdout: gate, stderr: outputs.stderr }, ended.resolve);
  const aborted = () => ended.reject(new KubeError('Aborted', `the command in ${where} was cut off: ${wordsOf(signal.reason)}`));
  signal.addEventListener('abort', aborted, { once: true });
  try {
    const socket = await Promise.race([connecting.catch((error: unknown) => Promise.reject(refused(error, where))), ended.promise.then(() => connecting)]);
    socket.addEventListener('close', () => ended.reject(new KubeError('Unavailable', `the connection to ${where} broke before the command ended`)));
    gate.connected(socket);
    const status = await ended.promise;
    await gate.flushed;
    return endOf(status);
  } finally {
    signal.removeEventListener('abort', aborted);
    // Even one that comes up only now.
    void connecting.then((socket) => socket.terminate(), () => undefined);
  }
}

/** As `execInPod`, with the end of what it printed instead of all of it. */
export async function execForOutput(connection: KubeConnection, at: PodContainer, command: readonly string[], signal: AbortSignal): Promise<ExecEnd & { readonly output: string }> {
  const tail = new OutputTail();
  const end = await execInPod(connection, at, command, { stdout: tail, stderr: tail }, signal);
  return { ...end, output: tail.text };
}

/** What is used of the client library's socket, which is that of `ws`. */
interface Socket {
  pause(): void;
  resume(): void;
  terminate(): void;
  addEventListener(type: 'close', listener: () => void): void;
}

async function connect(connection: KubeConnection, at: PodContainer, command: readonly string[], outputs: ExecOutputs, onStatus: (status: V1Status) => void): Promise<Socket> {
  const socket: unknown = await new Exec(connection.config).exec(at.namespace, at.pod, at.container, [...command], outputs.stdout, outputs.stderr, null, false, onStatus);
  return socket as Socket;
}

/** Lets the socket rest while the consumer is busy: the client library itself writes on, whatever a stream answers. */
class Gate extends Writable {
  readonly #to: Writable;
  #socket: Socket | undefined;
  readonly flushed: Promise<void>;

  constructor(to: Writable) {
    super();
    this.#to = to;
    this.flushed = new Promise((resolve) => this.once('finish', resolve));
  }

  connected(socket: Socket): void {
    this.#socket = socket;
    if (this.#to.writableNeedDrain) socket.pause();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#to.write(chunk)) {
      done();
      return;
    }
    this.#socket?.pause();
    const go = () => {
      this.#to.off('drain', go);
      this.#to.off('close', go);
      this.#socket?.resume();
      done();
    };
    this.#to.once('drain', go);
    this.#to.once('close', go);
  }
}

function endOf(status: V1Status): ExecEnd {
  if (status.status === 'Success') return { ok: true, exitCode: 0, message: 'it ended well' };
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  if (code !== undefined) return { ok: false, exitCode: Number(code), message: `it ended with status ${code}` };
  return { ok: false, exitCode: undefined, message: `it could not be run: ${status.message ?? status.reason ?? 'no reason was given'}` };
}

/** The handshake's answer is an HTTP status; the library hands on an event with its words. */
function refused(error: unknown, where: string): KubeError {
  const words = error !== null && typeof error === 'object' && 'message' in error && typeof error.message === 'string' ? error.message : String(error);
  const status = Number(/response: (\d{3})/.exec(words)?.[1] ?? 0);
  const code = status === 403 ? 'Forbidden' : status === 404 ? 'NotFound' : 'Unavailable';
  return new KubeError(code, `no command can be run in ${where}: ${words}`, { status, cause: error });
}

function wordsOf(reason: unknown): string {
  if (reason instanceof DOMException && reason.name === 'TimeoutError') return 'it took longer than its timeout';
  return reason instanceof Error ? reason.message : String(reason);
}

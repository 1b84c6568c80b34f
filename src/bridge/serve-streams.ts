import { chmod, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { STREAM_END, type BridgeOrders, type StreamEnd } from '../api/index.ts';
import { OutputTail, type ExecEnd, type ExecOutputs, type PodContainer } from '../kube/index.ts';

/** Runs a command in a container and resolves when it has ended, its output written no faster than it is taken. */
export type RunCommand = (at: PodContainer, command: readonly string[], outputs: ExecOutputs, signal: AbortSignal) => Promise<ExecEnd>;

export interface BridgeServer {
  close(): Promise<void>;
}

type Stream = BridgeOrders['streams'][number];

/** Listens at `socket` and gives each stream that is asked for, with how it ended in the trailer. */
export async function serveStreams(orders: BridgeOrders, socket: string, run: RunCommand, stop: AbortSignal): Promise<BridgeServer> {
  const streams = new Map(orders.streams.map((stream) => [stream.name, stream]));
  const server = createServer((request, response) => {
    const stream = streams.get(decodeURIComponent((request.url ?? '').slice(1)));
    if (stream === undefined) response.writeHead(404).end();
    else void give(stream, response, run, stop);
  });
  // A dump may be silent for as long as its own timeout allows.
  server.requestTimeout = 0;
  server.timeout = 0;
  await rm(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  // The mover is another user; the directory is this pod's alone.
  await chmod(socket, 0o666);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function give(stream: Stream, response: ServerResponse, run: RunCommand, stop: AbortSignal): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream', trailer: STREAM_END });
  response.flushHeaders();
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('the mover let go of it')));
  const signal = AbortSignal.any([stop, gone.signal, AbortSignal.timeout(stream.timeoutMs)]);
  const end = await runStream(stream, response, run, signal);
  if (response.destroyed) return;
  response.addTrailers({ [STREAM_END]: Buffer.from(JSON.stringify(end)).toString('base64') });
  response.end();
}

async function runStream({ at, command }: Stream, stdout: Writable, run: RunCommand, signal: AbortSignal): Promise<StreamEnd> {
  if ('refused' in at) return { ok: false, message: at.refused };
  const stderr = new OutputTail();
  const said = (): string => (stderr.text === '' ? '' : `: ${stderr.text}`);
  try {
    const { ok, message } = await run(at, command, { stdout, stderr }, signal);
    return { ok, message: `in pod ${at.pod}, container ${at.container}, ${message}${said()}` };
  } catch (error) {
    return { ok: false, message: `${error instanceof Error ? error.message : String(error)}${said()}` };
  }
}

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BridgeOrders } from '../../src/api/index.ts';
import { serveStreams, type BridgeServer, type RunCommand } from '../../src/bridge/index.ts';
import { readStream } from '../../src/mover/stream-client.ts';

const at = { namespace: 'shop', pod: 'app-0', container: 'db' };
const ORDERS: BridgeOrders = {
  version: 1,
  streams: [
    { name: 'db', at, command: ['dump'], timeoutMs: 60_000 },
    { name: 'slow', at, command: ['sleep'], timeoutMs: 200 },
    { name: 'gone', at: { refused: 'No pod of the namespace mounts one of the volumes.' }, command: ['dump'], timeoutMs: 60_000 },
  ],
};

let folder: string;
let socket: string;
let server: BridgeServer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bridge-'));
  socket = join(folder, 'bridge.sock');
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

async function serve(run: RunCommand): Promise<void> {
  server = await serveStreams(ORDERS, socket, run, new AbortController().signal);
}

async function read(name: string, signal = new AbortController().signal): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readStream(name, socket, signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const well = { ok: true, exitCode: 0, message: 'it ended well' };

describe('a stream through the bridge', () => {
  it('brings every byte of the command that the orders name', async () => {
    const seen: unknown[] = [];
    const bytes = Buffer.alloc(3_000_000, 'row;');
    await serve((where, command, { stdout }) => {
      seen.push(where, command);
      return new Promise((resolve) => stdout.write(bytes, () => resolve(well)));
    });
    expect((await read('db')).equals(bytes)).toBe(true);
    expect(seen).toEqual([at, ['dump']]);
  });

  it('fails when the command does, with the end of what it wrote to standard error, passwords masked', async () => {
    await serve((_where, _command, { stdout, stderr }) => {
      stdout.write('half a dump');
      stderr.write('pg_dump: error: connection to postgres://app:hunter2@db/shop failed\n');
      return Promise.resolve({ ok: false, exitCode: 1, message: 'it ended with status 1' });
    });
    await expect(read('db')).rejects.toMatchObject({
      code: 'StreamFailed',
      retryable: true,
      message: 'stream db is not whole: in pod app-0, container db, it ended with status 1: pg_dump: error: connection to postgres://app:***@db/shop failed',
    });
  });

  it('fails when the command cannot be run, when it takes too long, and when there is no pod for it', async () => {
    await serve((_where, command, _outputs, signal) =>
      command[0] === 'dump'
        ? Promise.reject(new Error('no command can be run in pod app-0: 403'))
        : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('it took longer than its timeout')))),
    );
    await expect(read('db')).rejects.toThrow('no command can be run in pod app-0: 403');
    await expect(read('slow')).rejects.toThrow('it took longer than its timeout');
    await expect(read('gone')).rejects.toThrow('No pod of the namespace mounts one of the volumes');
    await expect(read('other')).rejects.toThrow('it answered 404');
  });

  it('that is empty is a failure that trying again does not mend', async () => {
    await serve(() => Promise.resolve(well));
    await expect(read('db')).rejects.toMatchObject({ code: 'StreamEmpty', retryable: false });
  });

  it('fails when the bridge dies in between: what came is not taken for all of it', async () => {
    await serve((_where, _command, { stdout }) => {
      stdout.write('half a dump');
      return new Promise(() => undefined);
    });
    const reading = read('db');
    setTimeout(() => void server?.close(), 200);
    await expect(reading).rejects.toMatchObject({ code: 'StreamFailed' });
  });

  it('fails when an answer ends without saying how the command did', async () => {
    const other = createServer((_request, response) => response.end('a dump?'));
    await new Promise<void>((resolve) => other.listen(socket, resolve));
    await expect(read('db')).rejects.toMatchObject({ code: 'StreamFailed', message: expect.stringContaining('broke off before its command had ended') });
    await new Promise((resolve) => other.close(resolve));
  });

  it('is waited for until the bridge listens', async () => {
    const reading = read('db');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await serve((_where, _command, { stdout }) => new Promise((resolve) => stdout.write('dump', () => resolve(well))));
    expect((await reading).toString()).toBe('dump');
  });

  it('is written no faster than it is read', async () => {
    let written = 0;
    await serve(async (_where, _command, { stdout }, signal) => {
      const piece = Buffer.alloc(65_536, 'x');
      while (!signal.aborted && written < 100_000_000) {
        written += piece.length;
        if (!stdout.write(piece)) await new Promise((resolve) => stdout.once('drain', resolve));
      }
      return well;
    });
    const stream = readStream('db', socket, new AbortController().signal);
    await stream.next();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(written).toBeLessThan(5_000_000);
    await stream.return(undefined);
  });

  it('lets go of the command when the mover stops reading', async () => {
    let isAborted = false;
    await serve((_where, _command, { stdout }, signal) => {
      stdout.write('x');
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          isAborted = true;
          reject(new Error('cut off'));
        }),
      );
    });
    const stop = new AbortController();
    const reading = read('db', stop.signal);
    setTimeout(() => stop.abort(new Error('SIGTERM')), 200);
    await expect(reading).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAborted).toBe(true);
  });
});

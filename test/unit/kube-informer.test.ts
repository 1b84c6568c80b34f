import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Informer, KubeConnection, ResourceClient, resourceTypes, type InformerEvent, type KubeObject } from '../../src/kube/index.ts';

/** Plays the list and watch of one collection. A stand-in; test/integration/kube-api.test.ts has the real API server. */
class ListWatchServer {
  readonly server: Server;
  readonly watches: { from: string; response: ServerResponse }[] = [];
  items: KubeObject[] = [];
  version = '1';
  lists = 0;
  /** Answers to listings with the second page forgotten. */
  forgetful = false;
  /** Listings that were asked for as one stream. */
  streams: ServerResponse[] = [];

  constructor() {
    this.server = createServer((request, response) => {
      const query = new URL(request.url ?? '', 'http://x').searchParams;
      response.setHeader('content-type', 'application/json');
      if (query.get('watch') === 'true') {
        response.writeHead(200);
        response.flushHeaders();
        if (query.get('sendInitialEvents') === 'true') {
          this.streams.push(response);
          return;
        }
        this.watches.push({ from: query.get('resourceVersion') ?? '', response });
        return;
      }
      this.lists += 1;
      if (query.has('continue')) {
        response.writeHead(410).end(JSON.stringify({ reason: 'Expired', message: 'The provided continue parameter is too old' }));
        return;
      }
      if (this.forgetful) {
        response.end(JSON.stringify({ items: this.items.slice(0, 1), metadata: { resourceVersion: this.version, continue: 'more' } }));
        return;
      }
      response.end(JSON.stringify({ items: this.items, metadata: { resourceVersion: this.version } }));
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  send(type: string, object: object): void {
    this.watches.at(-1)?.response.write(`${JSON.stringify({ type, object })}\n`);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function object(name: string, resourceVersion: string, uid = `uid-${name}`, labels: Record<string, string> = {}): KubeObject {
  return { metadata: { name, namespace: 'n', uid, resourceVersion, labels } };
}

async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('Informer', () => {
  let api: ListWatchServer;
  let informer: Informer<KubeObject>;
  let events: InformerEvent<KubeObject>[];
  let stop: AbortController;
  let running: Promise<void>;
  let connection: KubeConnection;

  beforeEach(async () => {
    api = new ListWatchServer();
    const config = new KubeConfig();
    config.loadFromClusterAndUser({ name: 'c', server: await api.start(), skipTLSVerify: true }, { name: 'u' });
    connection = new KubeConnection(config);
    informer = new Informer(new ResourceClient(connection, resourceTypes.pods), {
      indexes: { color: ({ metadata }) => [metadata.labels?.['color'] ?? 'none'] },
    });
    events = [];
    informer.listen((event) => events.push(event));
    stop = new AbortController();
  });

  afterEach(async () => {
    stop.abort();
    await running;
    connection.close();
    await api.stop();
  });

  async function start(items: KubeObject[], version: string): Promise<void> {
    api.items = items;
    api.version = version;
    running = informer.run(stop.signal);
    await informer.synced;
    await until(() => api.watches.length > 0);
  }

  it('lists, then follows what changes', async () => {
    await start([object('a', '5')], '5');
    api.send('ADDED', object('b', '6'));
    api.send('MODIFIED', object('a', '7'));
    api.send('DELETED', object('b', '8'));
    await until(() => events.length === 4);
    expect(events.map(({ type, object: each }) => `${type} ${each.metadata.name}`)).toEqual(['added a', 'added b', 'modified a', 'deleted b']);
    expect(api.watches[0]?.from).toBe('5');
  });

  it('keeps its indexes in step', async () => {
    await start([object('a', '5', 'u', { color: 'red' })], '5');
    api.send('MODIFIED', object('a', '6', 'u', { color: 'blue' }));
    await until(() => events.length === 2);
    expect(informer.byIndex('color', 'red')).toEqual([]);
    expect(informer.byIndex('color', 'blue').map(({ metadata }) => metadata.name)).toEqual(['a']);
  });

  it('goes on from a bookmark when the server ends a watch', async () => {
    await start([], '5');
    api.send('BOOKMARK', { metadata: { resourceVersion: '40' } });
    api.watches[0]?.response.end();
    await until(() => api.watches.length === 2);
    expect(api.watches[1]?.from).toBe('40');
    expect(api.lists).toBe(1);
  });

  it('lists anew when its version has expired, and tells what it missed', async () => {
    await start([object('a', '5'), object('b', '5')], '5');
    api.items = [object('b', '9'), object('c', '9')];
    api.version = '9';
    api.send('ERROR', { code: 410, message: 'too old' });
    await until(() => events.length === 5);
    expect(events.slice(2).map(({ type, object: each }) => `${type} ${each.metadata.name}`).sort()).toEqual(['added c', 'deleted a', 'modified b']);
  });

  it('comes back after a connection that broke in the middle of a line', async () => {
    await start([object('a', '5')], '5');
    api.items = [object('a', '7')];
    api.version = '7';
    api.watches[0]?.response.write('{"type":"MODI');
    api.watches[0]?.response.destroy();
    await until(() => informer.get('a', 'n')?.metadata.resourceVersion === '7');
    expect(events.at(-1)?.type).toBe('modified');
  });

  it('tells of both when an object was deleted and made again while it was blind', async () => {
    await start([object('a', '5', 'first')], '5');
    api.items = [object('a', '9', 'second')];
    api.version = '9';
    api.send('ERROR', { code: 410 });
    await until(() => events.length === 3);
    expect(events.slice(1).map(({ type, object: each }) => `${type} ${each.metadata.uid}`)).toEqual(['deleted first', 'added second']);
  });

  it('sees its own write before the watch tells, and does not fall back behind it', async () => {
    await start([object('a', '5')], '5');
    informer.remember(object('a', '8'));
    api.send('MODIFIED', object('a', '7'));
    api.send('ADDED', object('z', '9'));
    await until(() => informer.get('z', 'n') !== undefined);
    expect(informer.get('a', 'n')?.metadata.resourceVersion).toBe('8');
  });

  it('sees what it made itself before the watch tells, once, and lets it go when the watch tells that', async () => {
    await start([object('a', '5')], '5');
    informer.remember(object('made', '8'));
    expect(informer.get('made', 'n')).toBeDefined();
    api.send('ADDED', object('made', '8'));
    api.send('ADDED', object('b', '9'));
    await until(() => informer.get('b', 'n') !== undefined);
    api.send('DELETED', object('made', '10'));
    await until(() => informer.get('made', 'n') === undefined);
    expect(events.map(({ type, object: each }) => `${type} ${each.metadata.name}`)).toEqual(['added a', 'added made', 'added b', 'deleted made']);
    // The answer to a write that comes after the watch has told of its end, or while nobody knows what it will tell.
    informer.remember(object('made', '8'));
    expect(informer.get('made', 'n')).toBeUndefined();
    stop.abort();
    await running;
    informer = new Informer(new ResourceClient(connection, resourceTypes.pods));
    informer.remember(object('made', '8'));
    expect(informer.get('made', 'n')).toBeUndefined();
  });

  it('forgets what it deleted itself before the watch tells, and does not see it again in what is told of before', async () => {
    await start([object('a', '5')], '5');
    informer.forget(object('a', '5'));
    expect(events.map(({ type }) => type)).toEqual(['added', 'deleted']);
    api.send('MODIFIED', object('a', '6'));
    api.send('DELETED', object('a', '7'));
    api.send('ADDED', object('b', '8'));
    await until(() => informer.get('b', 'n') !== undefined);
    expect(informer.get('a', 'n')).toBeUndefined();
    api.send('ADDED', object('a', '9', 'another'));
    await until(() => informer.get('a', 'n') !== undefined);
    informer.forget(object('a', '9', 'yet-another'));
    expect(informer.get('a', 'n')?.metadata.uid).toBe('another');
    expect(events.filter(({ object: each }) => each.metadata.name === 'a').map(({ type }) => type)).toEqual(['added', 'deleted', 'added']);
  });

  it('keeps what was made again under a name when the watch tells of the end of the one before', async () => {
    await start([object('a', '5')], '5');
    informer.forget(object('a', '5'));
    informer.remember(object('a', '8', 'another'));
    api.send('DELETED', object('a', '7'));
    api.send('ADDED', object('b', '9'));
    await until(() => informer.get('b', 'n') !== undefined);
    expect(informer.get('a', 'n')?.metadata.uid).toBe('another');
  });

  it('does not bring back by its own write what has been deleted since', async () => {
    await start([object('a', '5')], '5');
    api.send('DELETED', object('a', '6'));
    await until(() => events.length === 2);
    informer.remember(object('a', '5'));
    expect(informer.get('a', 'n')).toBeUndefined();
  });

  it('asks for one stream where the server forgot the listing before its last page, and drops what is gone only at its end', async () => {
    api.items = [object('a', '5'), object('b', '6')];
    api.forgetful = true;
    running = informer.run(stop.signal);
    await until(() => api.streams.length === 1);
    expect(api.lists).toBe(2);
    const send = (type: string, what: object) => api.streams[0]?.write(`${JSON.stringify({ type, object: what })}\n`);
    send('ADDED', object('b', '6'));
    send('BOOKMARK', { metadata: { resourceVersion: '7' } });
    await until(() => informer.get('b', 'n') !== undefined);
    expect(informer.get('a', 'n')).toBeDefined();
    let isSynced = false;
    void informer.synced.then(() => (isSynced = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isSynced).toBe(false);
    send('BOOKMARK', { metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } } });
    await informer.synced;
    expect(informer.get('a', 'n')).toBeUndefined();
    await until(() => api.watches.length === 1);
    expect(api.watches[0]?.from).toBe('9');
  });
});

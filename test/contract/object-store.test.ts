import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore, MemoryStore, retrying } from '../../src/storage/index.ts';
import { describeObjectStore } from './object-store-suite.ts';

async function temporaryDirectory(): Promise<{ path: string; dispose: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'tenant-backup-store-'));
  return { path, dispose: () => rm(path, { recursive: true }) };
}

describeObjectStore('memory', () => Promise.resolve({ store: new MemoryStore(), dispose: () => Promise.resolve() }));

describeObjectStore('directory', async () => {
  const { path, dispose } = await temporaryDirectory();
  return { store: new FileStore(join(path, 'not', 'made', 'yet')), dispose };
});

describeObjectStore('directory, durable', async () => {
  const { path, dispose } = await temporaryDirectory();
  return { store: new FileStore(path, { durable: true }), dispose };
});

describeObjectStore('memory, a view', () => Promise.resolve({ store: new MemoryStore().within('a/b'), dispose: () => Promise.resolve() }));

describeObjectStore('memory, retried', () => Promise.resolve({ store: retrying(new MemoryStore()), dispose: () => Promise.resolve() }));

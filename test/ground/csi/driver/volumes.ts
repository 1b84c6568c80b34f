// The controller's half about volumes: made empty, from a snapshot or as a clone, deleted, listed.
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyContent } from './copy.ts';
import { CreateVolume, Page, ValidateCapabilities, VolumeId, type ContentSource } from './messages.ts';
import { mountsOf } from './mounts.ts';
import { CsiError, method, type Methods } from './rpc.ts';
import { idOf } from './shelf.ts';
import { DISK, type Storage, type Volume } from './storage.ts';

const GIB = 1024 ** 3;
const DEFAULT_BYTES = GIB;
const LARGEST_BYTES = 1024 * GIB;

/** @param topology - where the driver's volumes can be reached from: one node */
export function volumeMethods(storage: Storage, topology: Readonly<Record<string, string>>): Methods {
  const messageOf = ({ id, capacityBytes, source }: Volume): object => ({
    volume_id: id,
    capacity_bytes: capacityBytes,
    accessible_topology: [{ segments: topology }],
    ...(source && { content_source: source }),
  });
  return {
    CreateVolume: method(CreateVolume, (request) => storage.inTurn(async () => ({ volume: messageOf(await createVolume(storage, request)) }))),
    DeleteVolume: method(VolumeId, ({ volume_id: id }) => storage.inTurn(() => deleteVolume(storage, id))),
    ListVolumes: method(Page, async (page) => pageOf(await storage.volumes.list(), page, (volume) => ({ volume: messageOf(volume) }))),
    ValidateVolumeCapabilities: method(ValidateCapabilities, async ({ volume_id: id, volume_capabilities: wanted }) => {
      const volume = await storage.volumes.get(id);
      if (!volume) throw new CsiError('NOT_FOUND', `there is no volume ${id}`);
      if (wanted.some(({ access_type: type }) => type !== volume.mode)) return { message: `volume ${id} is of mode ${volume.mode}` };
      return { confirmed: { volume_capabilities: wanted } };
    }),
  };
}

async function createVolume(storage: Storage, request: CreateVolume): Promise<Volume> {
  const { name, volume_content_source: wantedSource } = request;
  const modes = new Set(request.volume_capabilities.map(({ access_type: type }) => type));
  const [mode = 'mount'] = modes;
  if (modes.size > 1) throw new CsiError('INVALID_ARGUMENT', `volume ${name}: it can be a block device or a file system, not both`);
  const { required_bytes: least = 0, limit_bytes: limit = 0 } = request.capacity_range ?? {};
  const most = limit || Infinity;
  if (least > most || least > LARGEST_BYTES) throw new CsiError('OUT_OF_RANGE', `volume ${name}: ${least} bytes are more than ${Math.min(most, LARGEST_BYTES)}`);
  const source = wantedSource ?? undefined;
  const id = idOf(name);
  const existing = await storage.volumes.get(id);
  if (existing) {
    const fits = existing.capacityBytes >= least && existing.capacityBytes <= most;
    if (fits && existing.mode === mode && sourceId(existing.source) === sourceId(source)) return existing;
    throw new CsiError('ALREADY_EXISTS', `volume ${name} exists with another size, mode or source`);
  }
  const origin = source && (await originOf(storage, source));
  if (origin && origin.mode !== mode) throw new CsiError('INVALID_ARGUMENT', `volume ${name}: its source is of mode ${origin.mode}`);
  if (origin && most < origin.capacityBytes) throw new CsiError('OUT_OF_RANGE', `volume ${name}: its source has ${origin.capacityBytes} bytes`);
  const capacityBytes = Math.max(least, origin?.capacityBytes ?? Math.min(most, least || DEFAULT_BYTES));
  return storage.volumes.add({ id, name, capacityBytes, mode, ...(source && { source }) }, async (content) => {
    if (origin) await origin.copyTo(content);
    if (mode === 'mount') return;
    if (!origin) await writeFile(join(content, DISK), '');
    await truncate(join(content, DISK), capacityBytes);
  });
}

interface Origin {
  readonly capacityBytes: number;
  readonly mode: Volume['mode'];
  readonly copyTo: (content: string) => Promise<void>;
}

async function originOf(storage: Storage, source: ContentSource): Promise<Origin> {
  if (source.type === 'volume') {
    const volume = await storage.volumes.get(source.volume.volume_id);
    if (!volume) throw new CsiError('NOT_FOUND', `there is no volume ${source.volume.volume_id} to clone`);
    return { ...volume, copyTo: (content) => copyContent(storage.volumes.contentOf(volume.id), content) };
  }
  const snapshot = await storage.snapshots.get(source.snapshot.snapshot_id);
  if (!snapshot) throw new CsiError('NOT_FOUND', `there is no snapshot ${source.snapshot.snapshot_id}`);
  if (Date.now() < snapshot.readyAt) throw new CsiError('UNAVAILABLE', `snapshot ${snapshot.id} is not ready yet`);
  return { ...snapshot, copyTo: (content) => copyContent(storage.snapshots.contentOf(snapshot.id), content) };
}

function sourceId(source: ContentSource | undefined): string {
  if (!source) return '';
  return source.type === 'volume' ? `volume ${source.volume.volume_id}` : `snapshot ${source.snapshot.snapshot_id}`;
}

async function deleteVolume(storage: Storage, id: string): Promise<object> {
  const used = mountsOf().find(({ root }) => root.endsWith(storage.mountedRootOf(id)));
  if (used) throw new CsiError('FAILED_PRECONDITION', `volume ${id} is still mounted on ${used.place}`);
  await storage.volumes.remove(id);
  return {};
}

/** One page of a list; a token is the id to begin with. */
export function pageOf<T extends { readonly id: string }>(items: readonly T[], page: Page, entryOf: (item: T) => object): object {
  const start = page.starting_token === '' ? 0 : items.findIndex(({ id }) => id >= page.starting_token);
  if (start < 0 || !/^([0-9a-f]{24})?$/.test(page.starting_token)) throw new CsiError('ABORTED', `${page.starting_token} is no token of this list`);
  const end = page.max_entries === 0 ? items.length : start + page.max_entries;
  return { entries: items.slice(start, end).map(entryOf), next_token: items[end]?.id ?? '' };
}

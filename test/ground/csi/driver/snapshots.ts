// The controller's half about snapshots, single ones and groups: copies of volumes that are of one instant.
import { copyContent } from './copy.ts';
import { CreateGroupSnapshot, CreateSnapshot, Empty, GroupSnapshot, ListSnapshots, SnapshotId } from './messages.ts';
import { CsiError, method, type Methods } from './rpc.ts';
import { idOf } from './shelf.ts';
import type { Group, Snapshot, Storage, Volume } from './storage.ts';
import { pageOf } from './volumes.ts';

/** Runs something while nothing writes to the volumes. */
export type Quiesce = <T>(volumes: readonly string[], work: () => Promise<T>) => Promise<T>;

const timestamp = (milliseconds: number): object => ({ seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1e6 });

function messageOf(snapshot: Snapshot): object {
  return {
    snapshot_id: snapshot.id,
    source_volume_id: snapshot.volume,
    size_bytes: snapshot.capacityBytes,
    creation_time: timestamp(snapshot.takenAt),
    ready_to_use: Date.now() >= snapshot.readyAt,
    group_snapshot_id: snapshot.group ?? '',
  };
}

export function snapshotMethods(storage: Storage, quiesce: Quiesce): Methods {
  return {
    CreateSnapshot: method(CreateSnapshot, ({ name, source_volume_id: volume, parameters }) =>
      storage.inTurn(async () => {
        const existing = await storage.snapshots.get(idOf(name));
        if (existing && existing.volume !== volume) throw new CsiError('ALREADY_EXISTS', `snapshot ${name} exists and is of volume ${existing.volume}`);
        if (existing) return { snapshot: messageOf(existing) };
        const [source] = await volumesOf(storage, [volume]);
        refuseWhereTold(parameters, name);
        return { snapshot: messageOf(await quiesce([volume], () => take(storage, source!, { name, delay: delayOf(parameters), takenAt: Date.now() }))) };
      }),
    ),
    DeleteSnapshot: method(SnapshotId, ({ snapshot_id: id }) =>
      storage.inTurn(async () => {
        const group = (await storage.snapshots.get(id))?.group;
        if (group !== undefined) throw new CsiError('INVALID_ARGUMENT', `snapshot ${id} goes only with its group ${group}`);
        await storage.snapshots.remove(id);
        return {};
      }),
    ),
    ListSnapshots: method(ListSnapshots, async (request) => {
      const wanted = (await storage.snapshots.list()).filter(
        ({ id, volume }) => (request.snapshot_id === '' || request.snapshot_id === id) && (request.source_volume_id === '' || request.source_volume_id === volume),
      );
      return pageOf(wanted, request, (snapshot) => ({ snapshot: messageOf(snapshot) }));
    }),
  };
}

export function groupMethods(storage: Storage, quiesce: Quiesce): Methods {
  const answer = async (group: Group): Promise<object> => {
    const members = await membersOf(storage, group.id);
    return {
      group_snapshot: {
        group_snapshot_id: group.id,
        snapshots: members.map(messageOf),
        creation_time: timestamp(group.takenAt),
        ready_to_use: members.every(({ readyAt }) => Date.now() >= readyAt),
      },
    };
  };
  return {
    GroupControllerGetCapabilities: method(Empty, () => ({ capabilities: [{ rpc: { type: 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT' } }] })),
    CreateVolumeGroupSnapshot: method(CreateGroupSnapshot, ({ name, source_volume_ids: ids, parameters }) =>
      storage.inTurn(async () => {
        const [id, wanted] = [idOf(name), ids.toSorted()];
        const existing = await storage.groups.get(id);
        if (existing && existing.volumes.join() !== wanted.join()) throw new CsiError('ALREADY_EXISTS', `group snapshot ${name} exists and is of volumes ${existing.volumes.join(', ')}`);
        if (existing) return answer(existing);
        const volumes = await volumesOf(storage, wanted);
        refuseWhereTold(parameters, name);
        // A driver killed before the group was written left members that are of another instant.
        for (const member of await membersOf(storage, id)) await storage.snapshots.remove(member.id);
        const takenAt = Date.now();
        await quiesce(wanted, async () => {
          for (const volume of volumes) await take(storage, volume, { name: `${name} ${volume.id}`, delay: delayOf(parameters), takenAt, group: id });
        });
        return answer(await storage.groups.add({ id, name, volumes: wanted, takenAt }, () => Promise.resolve()));
      }),
    ),
    GetVolumeGroupSnapshot: method(GroupSnapshot, async (request) => {
      const group = await storage.groups.get(request.group_snapshot_id);
      if (!group) throw new CsiError('NOT_FOUND', `there is no group snapshot ${request.group_snapshot_id}`);
      await demandMembers(storage, request.group_snapshot_id, request.snapshot_ids);
      return answer(group);
    }),
    DeleteVolumeGroupSnapshot: method(GroupSnapshot, ({ group_snapshot_id: id, snapshot_ids: named }) =>
      storage.inTurn(async () => {
        if ((await storage.groups.get(id)) === undefined) return {};
        for (const member of await demandMembers(storage, id, named)) await storage.snapshots.remove(member.id);
        await storage.groups.remove(id);
        return {};
      }),
    ),
  };
}

async function volumesOf(storage: Storage, ids: readonly string[]): Promise<Volume[]> {
  const volumes: Volume[] = [];
  for (const id of ids) {
    const volume = await storage.volumes.get(id);
    if (!volume) throw new CsiError('NOT_FOUND', `there is no volume ${id} to take a snapshot of`);
    volumes.push(volume);
  }
  return volumes;
}

async function membersOf(storage: Storage, group: string): Promise<Snapshot[]> {
  return (await storage.snapshots.list()).filter((snapshot) => snapshot.group === group);
}

/** The members of a group. Some of them may be gone already, when a deletion was cut short; none may be another's. */
async function demandMembers(storage: Storage, group: string, named: readonly string[]): Promise<Snapshot[]> {
  const members = await membersOf(storage, group);
  const strangers: string[] = [];
  for (const id of named) if ((await storage.snapshots.get(id)) && !members.some((member) => member.id === id)) strangers.push(id);
  if (strangers.length > 0) throw new CsiError('INVALID_ARGUMENT', `group snapshot ${group} does not hold ${strangers.join(', ')}`);
  return members;
}

interface Taking {
  readonly name: string;
  /** Milliseconds until it is ready. */
  readonly delay: number;
  readonly takenAt: number;
  readonly group?: string;
}

function take(storage: Storage, volume: Volume, { name, delay, takenAt, group }: Taking): Promise<Snapshot> {
  const { id, capacityBytes, mode } = volume;
  const snapshot = { id: idOf(name), name, volume: id, capacityBytes, mode, takenAt, readyAt: takenAt + delay, ...(group !== undefined && { group }) };
  return storage.snapshots.add(snapshot, (content) => copyContent(storage.volumes.contentOf(id), content));
}

/** `readySeconds` of a snapshot class: a storage that cuts snapshots at once and uploads them for a while. */
function delayOf(parameters: Readonly<Record<string, string>>): number {
  const seconds = Number(parameters['readySeconds'] ?? 0);
  if (!Number.isFinite(seconds) || seconds < 0) throw new CsiError('INVALID_ARGUMENT', 'readySeconds of the snapshot class must be a number of seconds');
  return seconds * 1000;
}

/** `refuse` of a snapshot class: a storage that takes no snapshot, and says why. */
function refuseWhereTold(parameters: Readonly<Record<string, string>>, name: string): void {
  const { refuse } = parameters;
  if (refuse !== undefined) throw new CsiError('RESOURCE_EXHAUSTED', `snapshot ${name}: ${refuse}`);
}

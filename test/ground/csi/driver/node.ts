// The node's half: a volume appears in a pod by a bind mount of its folder.
import { existsSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
import { run } from '../../run.ts';
import { Empty, Publish, Unpublish, type Capability } from './messages.ts';
import { mountsOf } from './mounts.ts';
import { CsiError, method, type Methods } from './rpc.ts';
import type { Storage } from './storage.ts';

export function nodeMethods(storage: Storage, node: string, topology: Readonly<Record<string, string>>): Methods {
  const types = ['SINGLE_NODE_MULTI_WRITER'];
  return {
    NodeGetInfo: method(Empty, () => ({ node_id: node, accessible_topology: { segments: topology } })),
    NodeGetCapabilities: method(Empty, () => ({ capabilities: types.map((type) => ({ rpc: { type } })) })),
    NodePublishVolume: method(Publish, (request) =>
      storage.inTurn(async () => {
        await publish(storage, { volume: request.volume_id, target: request.target_path, capability: request.volume_capability, readOnly: request.readonly });
        return {};
      }),
    ),
    NodeUnpublishVolume: method(Unpublish, ({ volume_id: volume, target_path: target }) =>
      storage.inTurn(async () => {
        if (!(await storage.volumes.get(volume))) throw new CsiError('NOT_FOUND', `there is no volume ${volume}`);
        if (mountsOf().some(({ place }) => place === target)) await run('umount', [target]);
        if (existsSync(target)) await rmdir(target);
        return {};
      }),
    ),
  };
}

interface Publication {
  readonly volume: string;
  readonly target: string;
  readonly capability: Capability;
  readonly readOnly: boolean;
}

async function publish(storage: Storage, { volume: id, target, capability, readOnly }: Publication): Promise<void> {
  const volume = await storage.volumes.get(id);
  if (!volume) throw new CsiError('NOT_FOUND', `there is no volume ${id}`);
  // A device would have to be a loop device, which outlives whoever made it: none is made, so none is left behind.
  if (capability.access_type === 'block') throw new CsiError('FAILED_PRECONDITION', `volume ${id}: this driver keeps block volumes but connects none to a pod`);
  if (volume.mode !== 'mount') throw new CsiError('FAILED_PRECONDITION', `volume ${id} is a block device, not a file system`);
  const elsewhere = mountsOf().filter(({ root }) => root.endsWith(storage.mountedRootOf(id)));
  if (elsewhere.some(({ place }) => place === target)) return;
  if (capability.access_mode.mode === 'SINGLE_NODE_SINGLE_WRITER' && elsewhere.length > 0) {
    throw new CsiError('FAILED_PRECONDITION', `volume ${id} is for one pod at a time and is mounted on ${elsewhere[0]!.place}`);
  }
  await mkdir(target, { recursive: true, mode: 0o750 });
  await run('mount', ['--bind', storage.volumes.contentOf(id), target]);
  if (readOnly) await run('mount', ['-o', 'remount,bind,ro', target]);
}

// What the driver reads of CSI's messages (https://github.com/container-storage-interface/spec, version 1.13). Everything
// else of a request, secrets among it, is dropped before any code sees it.
import { z } from 'zod';

const required = z.string().min(1, 'must be given');

export const Capability = z.object({
  access_type: z.enum(['block', 'mount'], { error: 'access type must be block or mount' }),
  access_mode: z.object({ mode: z.string().refine((mode) => mode !== 'UNKNOWN', 'must be known') }, { error: 'must be given' }),
  mount: z.object({ fs_type: z.string(), mount_flags: z.array(z.string()) }).nullish(),
});
export type Capability = z.infer<typeof Capability>;

const Capabilities = z.array(Capability).min(1, 'must be given');
const CapacityRange = z.object({ required_bytes: z.int().min(0), limit_bytes: z.int().min(0) });
const Parameters = z.record(z.string(), z.string());

export const ContentSource = z.discriminatedUnion('type', [
  z.object({ type: z.literal('snapshot'), snapshot: z.object({ snapshot_id: required }) }),
  z.object({ type: z.literal('volume'), volume: z.object({ volume_id: required }) }),
]);
export type ContentSource = z.infer<typeof ContentSource>;

export const Empty = z.object({});
export const CreateVolume = z.object({
  name: required,
  capacity_range: CapacityRange.nullish(),
  volume_capabilities: Capabilities,
  volume_content_source: ContentSource.nullish(),
});
export type CreateVolume = z.infer<typeof CreateVolume>;
export const VolumeId = z.object({ volume_id: required });
export const ValidateCapabilities = z.object({ volume_id: required, volume_capabilities: Capabilities });
export const Page = z.object({ max_entries: z.int().min(0), starting_token: z.string() });
export type Page = z.infer<typeof Page>;
export const CreateSnapshot = z.object({ name: required, source_volume_id: required, parameters: Parameters });
export const SnapshotId = z.object({ snapshot_id: required });
export const ListSnapshots = Page.extend({ source_volume_id: z.string(), snapshot_id: z.string() });
export const CreateGroupSnapshot = z.object({ name: required, source_volume_ids: z.array(required).min(1, 'must be given'), parameters: Parameters });
export const GroupSnapshot = z.object({ group_snapshot_id: required, snapshot_ids: z.array(z.string()) });
export const Publish = z.object({ volume_id: required, target_path: required, volume_capability: Capability, readonly: z.boolean() });
export const Unpublish = z.object({ volume_id: required, target_path: required });

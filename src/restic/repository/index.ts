/** An open repository: its keys, index, packs, files and locks. Reading and writing commands stand on this. */
export { initRepository, openedOf, openRepository } from './init-and-open.ts';
export { BlobTable } from './blob-table.ts';
export { SlotSet } from './slot-set.ts';
export { PackingWriter, type SavedBlob } from './blob-writer.ts';
export { OpenRepository } from './open-repository.ts';
export {
  keyOf, type BlobIndex, type BlobWriter, type HeldLock, type ListedFile, type LockRequest, type OpenedRepository, type UnpackedKind,
} from './opened.ts';
export { PackUploader } from './pack-uploader.ts';
export { TableIndex } from './table-index.ts';
export { TableSpace, type SegmentMemory } from './table-space.ts';
export { findParent, listSnapshots, loadSnapshot, resolveSnapshot } from './snapshots.ts';

/**
 * The restic repository format as pure functions: ciphers, key file, config, packs, index, trees, snapshots, locks.
 * Nothing here reads or writes a store. Source: doc/design.rst of restic, and restic's behaviour where that is silent.
 */
export { byteString, byteStringFromBytes, byteStringFromText, bytesOf, flattened, fsPath, textOf, utf8TextOf, type ByteString } from './byte-string.ts';
export type { BlobLocation, BlobType, PackContents, PackedBlob } from './blob.ts';
export { Chunker, gearTable, gearTableInfo, gearTableLength, maxChunkLength, minChunkLength } from './chunker.ts';
export { compress, decompress, zstdLevel, zstdMaxLevel } from './compression.ts';
export { encodeConfig, newConfig, parseConfig, type Config } from './config.ts';
export { CipherKey, keyMaterialLength, macLength, nonceLength, sealOverhead } from './crypto.ts';
export { damaged } from './damaged.ts';
export { goModeOf, nodeTypeOf, permissionsOf } from './file-mode.ts';
export { parseIndex } from './index-file.ts';
export { hexOfKey, keyOfBytes, keyOfHex } from './id-words.ts';
export { IndexWriter } from './index-writer.ts';
export { IndexScanner, type IndexVisitor } from './index-scan.ts';
export { isId } from './json.ts';
export { encodeKeyFile, openKeyFile, parseKeyFile, type KeyFile } from './key-file.ts';
export { letGo } from './let-go.ts';
export { encodeLock, parseLock, type LockFile } from './lock-file.ts';
export type { ExtendedAttribute, Id, Node, NodeType, Tree, Uint64 } from './node.ts';
export { encodePackHeader, entryLengthOf, headerLengthLength, maxBlobsOfPack, maxHeaderLength, parsePackHeader, scanPackHeader } from './pack-header.ts';
export { encodeSnapshot, parseSnapshot, type Snapshot, type SnapshotStatistics } from './snapshot.ts';
export { formatTime, isSameTime, parseTime, TimeFormatter, type Timespec } from './time.ts';
export { bindOpener, type NativeOpener } from './native-opener.ts';
export { addressOf, nodeFunctions } from './node-functions.ts';
export { compareNames, encodeNode, encodeNodeHead, encodeNodeTail, encodeTree, encodeTreeOf, parseTree } from './tree.ts';
export { decodeUnpacked, encodeUnpacked, openUnpacked, sealIndex, sealUnpacked, type SealedFile } from './unpacked.ts';
export { ZstdStream } from './zstd-stream.ts';

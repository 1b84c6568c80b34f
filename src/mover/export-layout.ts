import { createHash } from 'node:crypto';
import { exportReadme } from './export-readme.ts';
import { compareKeys } from '../storage/index.ts';
import { isExportedIndex, type Manifest, type ManifestFile } from './manifest.ts';
import { BLOCK, encodeHeader, paddingOf } from './tar/header.ts';

/** Two blocks of zeros end a tar. */
const END = 2 * BLOCK;

/** A stretch of the downloaded file: bytes that we know already, or an object of the store. */
export type ExportSegment =
  | { readonly kind: 'bytes'; readonly offset: number; readonly bytes: Uint8Array; readonly size: number }
  | { readonly kind: 'object'; readonly offset: number; readonly name: string; readonly size: number };

/** Where each byte of the downloaded file comes from. A function of the manifest alone: same revision, same bytes. */
export interface ExportLayout {
  /** bytes */
  readonly size: number;
  /** In order and without gaps. */
  readonly segments: readonly ExportSegment[];
  /** Names these bytes, in double quotes as HTTP has it. */
  readonly etag: string;
  /** Proposed name of the file. */
  readonly fileName: string;
}

/** The tar of `layout.md` ("The downloaded file"). */
export function exportLayout(manifest: Manifest): ExportLayout {
  const mtime = Math.floor(Date.parse(manifest.createdAt) / 1000);
  const segments: ExportSegment[] = [];
  let offset = 0;
  const addBytes = (bytes: Uint8Array): void => {
    segments.push({ kind: 'bytes', offset, bytes, size: bytes.byteLength });
    offset += bytes.byteLength;
  };
  const readme = new TextEncoder().encode(exportReadme(manifest));
  addBytes(Buffer.concat([encodeHeader({ name: 'README.txt', size: readme.byteLength, mtime }), readme, new Uint8Array(paddingOf(readme.byteLength))]));
  for (const { name, file } of entriesOf(manifest)) {
    addBytes(encodeHeader({ name, size: file?.size ?? 0, mtime }));
    if (file === undefined || file.size === 0) continue;
    segments.push({ kind: 'object', offset, name: file.name, size: file.size });
    offset += file.size;
    if (paddingOf(file.size) > 0) addBytes(new Uint8Array(paddingOf(file.size)));
  }
  addBytes(new Uint8Array(END));
  return { size: offset, segments, etag: etagOf(manifest, readme), fileName: `backup-${manifest.createdAt.slice(0, 10)}-${manifest.snapshot.slice(0, 8)}.tar` };
}

interface Entry {
  readonly name: string;
  /** Absent for a folder. */
  readonly file?: ManifestFile;
}

/** The order of the folders in the file. An `index/` file that names packs of other snapshots too stays behind: an export takes its place. */
const ORDER = ['config', 'keys/', 'wrappings/', 'index/', 'snapshots/', 'data/'];

function entriesOf(manifest: Manifest): Entry[] {
  const entries: Entry[] = [];
  const folders = new Set<string>();
  const named = manifest.files
    .filter((file) => !file.name.startsWith('index/') || isExportedIndex(file))
    .map((file) => ({ name: file.name.replace(/^exports\//, 'index/'), file }))
    .toSorted((a, b) => compareKeys(a.name, b.name));
  for (const part of ORDER) {
    for (const { name, file } of named.filter((each) => each.name.startsWith(part))) {
      for (const folder of foldersOf(name)) {
        if (folders.has(folder)) continue;
        folders.add(folder);
        entries.push({ name: folder });
      }
      entries.push({ name, file });
    }
  }
  return entries;
}

/** `data/ab/x` lies in `data/` and `data/ab/`. */
function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('/')}/`);
}

/** The README may change with a release; then the bytes are others, and so is their name. */
function etagOf(manifest: Manifest, readme: Uint8Array): string {
  const digest = createHash('sha256').update(`${manifest.snapshot} ${manifest.rev} ${manifest.mac}\0`).update(readme).digest('hex');
  return `"${digest.slice(0, 32)}"`;
}

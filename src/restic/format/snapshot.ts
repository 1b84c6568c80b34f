import { goJson } from './go-text.ts';
import { JsonReader, parseJson } from './json.ts';
import type { Id } from './node.ts';

/** A file under `snapshots/` (design.rst "Snapshots", and restic's own fields where that is silent). */
export interface Snapshot {
  readonly time: string;
  readonly parent?: Id | undefined;
  readonly tree: Id;
  readonly paths: readonly string[];
  readonly hostname: string;
  readonly username?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly excludes?: readonly string[] | undefined;
  readonly tags: readonly string[];
  readonly original?: Id | undefined;
  readonly programVersion?: string | undefined;
  readonly summary?: Readonly<Record<string, unknown>> | undefined;
}

/** What restic ≥ 0.17 leaves in a snapshot; its own names, so that `restic snapshots` shows sizes. */
export interface SnapshotStatistics extends Readonly<Record<string, unknown>> {
  readonly backup_start: string;
  readonly backup_end: string;
  readonly files_new: number;
  readonly files_changed: number;
  readonly files_unmodified: number;
  readonly dirs_new: number;
  readonly dirs_changed: number;
  readonly dirs_unmodified: number;
  readonly data_blobs: number;
  readonly tree_blobs: number;
  readonly data_added: number;
  readonly data_added_packed: number;
  readonly total_files_processed: number;
  readonly total_bytes_processed: number;
}

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const json = goJson({
    time: snapshot.time,
    parent: snapshot.parent,
    tree: snapshot.tree,
    paths: snapshot.paths,
    hostname: snapshot.hostname === '' ? undefined : snapshot.hostname,
    username: snapshot.username,
    uid: snapshot.uid === 0 ? undefined : snapshot.uid,
    gid: snapshot.gid === 0 ? undefined : snapshot.gid,
    excludes: nonEmpty(snapshot.excludes),
    tags: nonEmpty(snapshot.tags),
    original: snapshot.original,
    program_version: snapshot.programVersion,
    summary: snapshot.summary,
  });
  return Buffer.from(json, 'utf8');
}

function nonEmpty(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

/** @throws {EngineError} `Damaged` */
export function parseSnapshot(json: Uint8Array, what: string): Snapshot {
  const reader = new JsonReader(parseJson(json, what), what);
  const summary = reader.value('summary');
  return {
    time: reader.text('time'),
    parent: reader.optionalId('parent'),
    tree: reader.id('tree'),
    paths: reader.optionalTexts('paths'),
    hostname: reader.optionalText('hostname') ?? '',
    username: reader.optionalText('username'),
    uid: reader.optionalCount('uid'),
    gid: reader.optionalCount('gid'),
    excludes: reader.optionalTexts('excludes'),
    tags: reader.optionalTexts('tags'),
    original: reader.optionalId('original'),
    programVersion: reader.optionalText('program_version'),
    summary: typeof summary === 'object' && summary !== null ? (summary as Readonly<Record<string, unknown>>) : undefined,
  };
}

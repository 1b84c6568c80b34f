/** Whether restored content is what was backed up. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { openSourceReader } from '../../src/restic/fs/index.ts';
import { compareTrees } from '../../test/support/compare-tree.ts';
import type { DataName } from './data.ts';

/**
 * The first differences; empty where there are none.
 * @param restored - the directory that corresponds to `source`
 */
export function differences(name: DataName, source: string, restored: string): string[] {
  // Every byte of a tebibyte of holes would take an hour: what holds data in either is compared.
  return name === 'sparse' ? sparseDifferences(join(source, 'disk.img'), join(restored, 'disk.img')) : compareTrees(source, restored).slice(0, 3);
}

function sparseDifferences(expected: string, actual: string): string[] {
  const reader = openSourceReader();
  const files = [openSync(expected, 'r'), openSync(actual, 'r')] as const;
  try {
    const [one, other] = [fstatSync(files[0]), fstatSync(files[1])];
    if (one.size !== other.size) return [`disk.img: size ${one.size} → ${other.size}`];
    if (other.blocks > one.blocks * 2) return [`disk.img: blocks ${one.blocks} → ${other.blocks}`];
    for (const file of files) {
      for (const [offset, length] of reader.dataRanges(file, one.size)) {
        const differing = firstDifference(files, offset, length);
        if (differing !== undefined) return [`disk.img: content differs from byte ${differing}`];
      }
    }
    return [];
  } finally {
    for (const file of files) closeSync(file);
  }
}

function firstDifference(files: readonly [number, number], offset: number, length: number): number | undefined {
  const pieces = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)] as const;
  for (let at = offset; at < offset + length; at += pieces[0].length) {
    const wanted = Math.min(pieces[0].length, offset + length - at);
    readSync(files[0], pieces[0], 0, wanted, at);
    readSync(files[1], pieces[1], 0, wanted, at);
    if (pieces[0].compare(pieces[1], 0, wanted, 0, wanted) !== 0) return at;
  }
  return undefined;
}

/** An index of millions of blobs that lie nowhere: what a program takes for the index of a large repository, without the repository. */
import { randomFillSync } from 'node:crypto';
import { openRepository } from '../../src/restic/index.ts';
import { openedOf } from '../../src/restic/repository/index.ts';
import { FileStore } from '../../src/storage/index.ts';

const blobsOfPack = 100;
const packsOfFile = 500;
const blobLength = 100_000;

/** Adds index files to a repository. @param blobs - a multiple of 50,000 */
export async function writeHugeIndex(directory: string, password: string, blobs: number): Promise<void> {
  const repository = await openRepository({ store: new FileStore(directory), password: Buffer.from(password) });
  // Random, for neither the table nor the compressor may find an order in ids.
  const keys = new Int32Array(8 * blobsOfPack);
  for (let left = blobs; left > 0; left -= blobsOfPack * packsOfFile) {
    await openedOf(repository).saveIndex((writer) => {
      for (let pack = 0; pack < packsOfFile; pack += 1) {
        randomFillSync(keys);
        writer.beginPack(Buffer.from(keys.buffer, 0, 32).toString('hex'));
        for (let i = 0; i < blobsOfPack; i += 1) writer.blob('data', keys, i * 8, i * blobLength, blobLength, 2 * blobLength);
        writer.endPack();
      }
    });
  }
  await repository.close();
}

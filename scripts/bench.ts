/**
 * `make bench`: ours and every peer on PATH, on the same seeded data, in turn (A B A B), the median of each, and the ratio to ours.
 * It reports and never fails on a time.
 *
 *     node scripts/bench.ts [--rounds 3] [--seed 1] [--data small,big]
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { changeBig, changeSmall } from './bench/change.ts';
import { makeData } from './bench/data.ts';
import { bytesBelow, measure, median } from './bench/measure.ts';
import { findPeers, type Peer } from './bench/peers.ts';
import { Random } from './bench/random.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seed: { type: 'string', default: '1' }, data: { type: 'string', default: 'small,big' } },
});
const checkout = join(import.meta.dirname, '..');
const bench = join(checkout, '.bench');
const rounds = Number(values.rounds);
const peers = findPeers(checkout);

/** Rows of the table: what was done, and the unit. */
const rows = ['first', 'again', 'changed', 'restore', 'repository MiB', 'added MiB', 'peak MiB'] as const;
type Row = (typeof rows)[number];
type Results = Map<string, Map<Row, number[]>>;

mkdirSync(join(bench, 'data'), { recursive: true });
process.stdout.write(`data of seed ${values.seed} …\n`);
const data = makeData(join(bench, 'data'), Number(values.seed));
for (const name of ['small', 'big'] as const) {
  if (!values.data.split(',').includes(name)) continue;
  const results: Results = new Map(peers.map((peer) => [peer.name, new Map(rows.map((row) => [row, []]))]));
  for (let round = 0; round < rounds; round += 1) await runRound(name, round, results);
  print(name, results);
}

/** Every step for one peer after the other, so that all see the same machine and the same data. */
async function runRound(name: 'small' | 'big', round: number, results: Results): Promise<void> {
  const source = data[name];
  const places = peers.map((peer) => ({ peer, place: join(bench, 'run', peer.name.replaceAll('|', '-')) }));
  for (const { peer, place } of places) {
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place, { recursive: true });
    for (const command of peer.prepare(place)) await measure(command, peer.env(place));
  }
  for (const row of ['first', 'again', 'changed'] as const) {
    if (row === 'changed') (name === 'small' ? changeSmall : changeBig)(source, new Random(round + 7));
    for (const { peer, place } of places) {
      const before = bytesBelow(join(place, 'repository'));
      const { seconds, peakMiB } = await measure(peer.backup(place, source), peer.env(place));
      const after = bytesBelow(join(place, 'repository'));
      note(results, peer, row, seconds);
      if (row === 'first') {
        note(results, peer, 'repository MiB', after / 2 ** 20);
        note(results, peer, 'peak MiB', peakMiB);
      }
      if (row === 'changed') note(results, peer, 'added MiB', (after - before) / 2 ** 20);
      process.stdout.write(`${name} round ${round + 1}: ${row} ${peer.name} ${seconds.toFixed(2)} s\n`);
    }
  }
  for (const { peer, place } of places) {
    const target = join(place, 'restored');
    const command = peer.restore?.(place, source, target);
    if (command !== undefined) note(results, peer, 'restore', (await measure(command, peer.env(place))).seconds);
    rmSync(place, { recursive: true, force: true });
  }
}

function note(results: Results, peer: Peer, row: Row, value: number): void {
  results.get(peer.name)?.get(row)?.push(value);
}

/** A Markdown table; behind each number of a peer: how many times ours that is. */
function print(name: string, results: Results): void {
  process.stdout.write(`\n| ${name} | ${rows.join(' | ')} |\n| --- |${' --- |'.repeat(rows.length)}\n`);
  const ours = results.get(peers[0]!.name)!;
  for (const [peer, measured] of results) {
    const cells = rows.map((row) => {
      const values = measured.get(row) ?? [];
      if (values.length === 0) return '–';
      const value = median(values);
      const ratio = peer === peers[0]!.name ? '' : ` (×${(value / median(ours.get(row)!)).toFixed(2)})`;
      return `${value.toFixed(2)}${ratio}`;
    });
    process.stdout.write(`| ${peer} | ${cells.join(' | ')} |\n`);
  }
  process.stdout.write('\n');
}

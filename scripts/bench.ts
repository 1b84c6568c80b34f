/**
 * `make bench`: ours and every peer on PATH, on the same seeded data, in turn (A B A B), the median of each, and how many times ours it
 * takes. It reports and never fails on a time; `make bench-check` judges what it leaves in `.bench/results.json`.
 *
 *     node scripts/bench.ts [--data small,big,replicate] [--runs 3] [--scale 1] [--seed 1]
 *         [--peers restic,kopia] [--json .bench/results.json]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { dataNames, makeData, type DataName } from './bench/data.ts';
import type { Command } from './bench/measure.ts';
import { findOurs, findPeers } from './bench/peers.ts';
import { measurePrimitives } from './bench/primitives.ts';
import { runReplication } from './bench/replicate.ts';
import { describeMachine, mergeResults, type Run } from './bench/results.ts';
import { runRounds } from './bench/rounds.ts';
import { runTable } from './bench/table.ts';

const checkout = join(import.meta.dirname, '..');
const bench = join(checkout, '.bench');
const { values } = parseArgs({
  options: {
    data: { type: 'string', default: 'small,big,replicate' },
    runs: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    /** Of those on PATH; all unless set. */
    peers: { type: 'string' },
    json: { type: 'string', default: join(bench, 'results.json') },
  },
});
const settings = { seed: Number(values.seed), scale: Number(values.scale), rounds: Number(values.runs) };

mkdirSync(join(bench, 'data'), { recursive: true });
for (const name of values.data.split(',')) {
  const startedAt = performance.now();
  const run = name === 'replicate' ? await replicate() : await backUp(nameOf(name));
  mergeResults(values.json, { runs: { [name]: run } });
  say(`\n${runTable(name, run)}\n${name} took ${((performance.now() - startedAt) / 1000).toFixed(0)} s in all\n`);
}
say(`results are in ${values.json}`);

async function backUp(name: DataName): Promise<Run> {
  say(`${name}: making data of seed ${values.seed} where it is not there yet`);
  const source = makeData(join(bench, 'data'), name, settings.seed, settings.scale);
  const wanted = values.peers?.split(',');
  const peers = [findOurs(checkout), ...findPeers().filter((peer) => wanted?.includes(peer.name) ?? true)];
  const versions = versionsOf(peers.map((peer) => [peer.name, peer.version] as const));
  const rounds = await runRounds({ name, source, scale: settings.scale, rounds: settings.rounds, peers, workplace: join(bench, 'run'), say });
  say(`${name}: measuring the primitives alone`);
  // Of a sparse file nearly all bytes are never read.
  const primitives = name === 'sparse' ? {} : { primitives: measurePrimitives(source) };
  return { measuredAt: new Date().toISOString(), machine: describeMachine(), ...settings, ...rounds, ...primitives, versions };
}

async function replicate(): Promise<Run> {
  const { versions, ...outcome } = await runReplication({ checkout, workplace: join(bench, 'replicate'), ...settings, say });
  return { measuredAt: new Date().toISOString(), machine: describeMachine(), ...settings, ...outcome, versions: versionsOf(versions) };
}

function versionsOf(programs: readonly (readonly [name: string, command: Command])[]): Record<string, string> {
  return Object.fromEntries(programs.map(([name, [program, ...args]]) => [name, execFileSync(program!, args, { encoding: 'utf8' }).trim().replaceAll(/\n+/g, '; ').slice(0, 120)]));
}

function nameOf(text: string): DataName {
  const name = dataNames.find((known) => known === text);
  if (name === undefined) throw new Error(`there is no data ${text}; there are ${[...dataNames, 'replicate'].join(', ')}`);
  return name;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/**
 * `make bench-memory`: ours below a limit of 256 MiB that the kernel enforces, on ten thousand and a million tiny files, on a sparse file of
 * 1 TiB, and on ten thousand files beside an index of eight million other blobs (*huge*). Prints the peak of each step; exits 1 when the kernel killed one, or restored content differs. Needs root, 10 GiB of disk, and patience.
 *
 *     node scripts/bench/memory.ts [--limit 256] [--data tiny,sparse,million,huge] [--scale 1] [--seed 1] [--read-data] [--json .bench/results.json]
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeMemoryGroup, NoMemoryLimit } from './cgroup.ts';
import { change } from './change.ts';
import { dataNames, makeData, type DataName } from './data.ts';
import { writeHugeIndex } from './huge-index.ts';
import { measure, saidBy, sizeBelow, type Command } from './measure.ts';
import { findOurs } from './peers.ts';
import { describeMachine, mergeResults, type ConfinedStep } from './results.ts';
import { differences } from './same-tree.ts';
import { confinedTable } from './table.ts';

const checkout = join(import.meta.dirname, '..', '..');
const bench = join(checkout, '.bench');
const { values } = parseArgs({
  options: {
    limit: { type: 'string', default: '256' },
    data: { type: 'string', default: 'tiny,sparse,million,huge' },
    scale: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    'read-data': { type: 'boolean', default: false },
    json: { type: 'string', default: join(bench, 'results.json') },
  },
});

const MIB = 2 ** 20;
/** ms between looks at what the group holds */
const lookEvery = 25;
const hugeBlobs = 8_000_000;
const limitMiB = Number(values.limit);
const settings = { seed: Number(values.seed), scale: Number(values.scale) };
const ours = findOurs(checkout);

try {
  await makeMemoryGroup(limitMiB * MIB).remove();
  for (const name of values.data.split(',').map(nameOf)) await runData(name);
} catch (error) {
  if (!(error instanceof NoMemoryLimit)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}

type Subject = DataName | 'huge';

async function runData(name: Subject): Promise<void> {
  mkdirSync(join(bench, 'data'), { recursive: true });
  say(`${name}: making data of seed ${settings.seed} where it is not there yet`);
  const source = makeData(join(bench, 'data'), filesOf(name), settings.seed, settings.scale);
  const place = join(bench, 'memory', name);
  rmSync(place, { recursive: true, force: true });
  const steps: ConfinedStep[] = [];
  for await (const step of runSteps(name, source, place)) {
    steps.push(step);
    say(`${name}: ${step.step}: ${step.seconds.toFixed(1)} s, ${step.peakMiB.toFixed(0)} MiB, ${step.ended}`);
    if (step.ended !== 'well') process.exitCode = 1;
  }
  rmSync(place, { recursive: true, force: true });
  const confined = { measuredAt: new Date().toISOString(), machine: describeMachine(), limitMiB, ...settings, ...sizeBelow(source), ...(name === 'huge' ? { indexedBlobs: hugeBlobs * settings.scale } : {}), steps };
  mergeResults(values.json, { confined: { [name]: confined } });
  say(`\n${confinedTable({ [name]: confined })}\n`);
}

/** A step that fails is told, and the others go on with what is there. */
async function* runSteps(name: Subject, source: string, place: string): AsyncGenerator<ConfinedStep> {
  const target = join(place, 'restored');
  for (const command of ours.prepare(place)) await measure(command);
  if (name === 'huge') await writeHugeIndex(join(place, 'repository'), readFileSync(join(place, 'key'), 'utf8'), hugeBlobs * settings.scale);
  yield await confined('first', ours.backup(place, source));
  yield await confined('again, unchanged', ours.backup(place, source));
  const undo = change(filesOf(name), source, 0, settings.scale);
  try {
    yield await confined('changed', ours.backup(place, source));
    const restored = await confined('restore', ours.restore(place, target, 'latest'));
    yield restored.ended === 'well' ? { ...restored, ended: verdictOf(differences(filesOf(name), source, join(target, source))) } : restored;
    rmSync(target, { recursive: true, force: true });
  } finally {
    undo();
  }
  // Blobs of a huge index lie nowhere, which `check` would say of each pack.
  if (name !== 'huge') yield await confined('check', [...ours.snapshots.check(place), ...(values['read-data'] ? ['--read-data'] : [])]);
  const { output } = await measure(ours.snapshots.list(place));
  const [forget, prune] = ours.snapshots.forget(place, ours.snapshots.ids(output).at(-1) ?? '');
  yield await confined('forget', forget!);
  yield await confined('prune', prune!);
}

async function confined(step: string, command: Command): Promise<ConfinedStep> {
  const group = makeMemoryGroup(limitMiB * MIB);
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, group.anonymousBytes())), lookEvery);
  try {
    const { said, seconds, cpuSeconds } = await measure(group.confine(command)).then(
      (measured) => ({ ...measured, said: 'well' }),
      (error: unknown) => ({ seconds: 0, cpuSeconds: 0, said: saidBy(error) }),
    );
    const ended = group.kills() > 0 ? 'killed for its memory' : said;
    return { step, seconds, cpuSeconds, peakMiB: peak / MIB, groupMiB: group.peakBytes() / MIB, ended };
  } finally {
    clearInterval(timer);
    await group.remove();
  }
}

function verdictOf(found: readonly string[]): string {
  return found.length === 0 ? 'well' : `restored content differs: ${found.join('; ')}`;
}

/** What is backed up. */
function filesOf(name: Subject): DataName {
  return name === 'huge' ? 'tiny' : name;
}

function nameOf(text: string): Subject {
  if (text === 'huge') return text;
  const name = dataNames.find((known) => known === text);
  if (name === undefined) throw new Error(`there is no data ${text}; there are ${dataNames.join(', ')}, huge`);
  return name;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

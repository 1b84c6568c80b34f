/**
 * `make bench-check`: exits 1 when a ratio to a peer that was measured is below its target, and says which. By hand, on a quiet machine.
 *
 *     node scripts/bench/check.ts [.bench/results.json]
 */
import { join } from 'node:path';
import { loadResults } from './results.ts';
import { judge, tooSmall } from './targets.ts';

const file = process.argv[2] ?? join(import.meta.dirname, '..', '..', '.bench', 'results.json');
const results = loadResults(file);
const verdicts = judge(results);
const left = tooSmall(results);
if (left.length > 0) process.stdout.write(`not judged, for it was measured with less data: ${left.join(', ')}\n`);
for (const { what, peer, measured, wanted, isMet } of verdicts) {
  process.stdout.write(`${isMet ? 'met   ' : 'MISSED'}  ${what}${peer === '' ? '' : `, against ${peer}`}: ${measured}, wanted ${wanted}\n`);
}
const missed = verdicts.filter(({ isMet }) => !isMet).length;
if (verdicts.length === 0) {
  process.stderr.write(`${file} holds nothing that a target speaks of; run \`make bench\` first\n`);
  process.exitCode = 2;
} else {
  process.stdout.write(`${missed} of ${verdicts.length} missed\n`);
  if (missed > 0) process.exitCode = 1;
}

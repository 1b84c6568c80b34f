import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { loadResults, median, ours, type Results, type Run, type StepName } from '../../scripts/bench/results.ts';
import { plot } from '../../scripts/bench/plot.ts';
import { withMeasured } from '../../scripts/bench/report.ts';
import { judge, tooSmall } from '../../scripts/bench/targets.ts';

const machine = { processors: 2, model: 'some', memoryMiB: 1024, kernel: '6', node: 'v26' };

/** Seconds of each program for each step; one sample a number. */
function run(programs: Record<string, Partial<Record<StepName, number[]>>>, more: Partial<Run> = {}): Run {
  const steps = Object.entries(programs).map(([name, byStep]) => {
    const measured = Object.entries(byStep).map(([step, seconds]) => [step, { samples: seconds.map((each) => ({ seconds: each, cpuSeconds: each, peakMiB: 100 })), bytes: [], requests: [] }]);
    return [name, Object.fromEntries(measured) as Run['programs'][string]] as const;
  });
  return { measuredAt: '2026-03-01T00:00:00Z', machine, seed: 1, scale: 1, rounds: 3, files: 1, bytes: 1, versions: {}, failures: {}, ...more, programs: Object.fromEntries(steps) };
}

function results(runs: Results['runs'], confined: Results['confined'] = {}): Results {
  return { version: 1, runs, confined };
}

function verdictsOf(judged: Results, what: string): string[] {
  return judge(judged).filter((verdict) => verdict.what === what).map(({ peer, measured, isMet }) => `${peer} ${measured} ${isMet ? 'met' : 'missed'}`);
}

describe('the judgement of a benchmark', () => {
  it('takes the median, and asks restic for twice and every other peer for once', () => {
    const small = run({ [ours]: { first: [2, 100, 1] }, restic: { first: [3.9] }, kopia: { first: [2.1] }, 'tar|zstd|age': { first: [1.9] } });
    expect(verdictsOf(results({ small }), 'first backup, small')).toEqual(['restic 1.95× missed', 'restic 1.95× met', 'kopia 1.05× met', 'tar|zstd|age 0.95× missed']);
  });

  it('says nothing of data, steps and peers that were not measured', () => {
    expect(judge(results({}))).toEqual([]);
    expect(judge(results({ small: run({ [ours]: { again: [1] }, restic: { again: [2] } }) })).map(({ what }) => what)).toEqual(['peak memory, small']);
  });

  it('does not judge what was measured with less data', () => {
    const small = run({ [ours]: { first: [2] }, restic: { first: [1] } }, { scale: 0.5 });
    expect(judge(results({ small }))).toEqual([]);
    expect(tooSmall(results({ small }))).toEqual(['small']);
  });

  it('allows a repository two percent more than restic needs, and a change not one byte', () => {
    const sized = (mine: number, theirs: number): Run => {
      const big = run({ [ours]: { first: [1], changed: [1] }, restic: { first: [4], changed: [4] } });
      for (const step of ['first', 'changed'] as const) {
        big.programs[ours]![step]!.bytes.push(mine);
        big.programs['restic']![step]!.bytes.push(theirs);
      }
      return big;
    };
    expect(verdictsOf(results({ big: sized(1019, 1000) }), 'repository size, big')).toEqual(['restic 0.98× met']);
    expect(verdictsOf(results({ big: sized(1021, 1000) }), 'repository size, big')).toEqual(['restic 0.98× missed']);
    expect(verdictsOf(results({ big: sized(1001, 1000) }), '1% of a big file changed in place: bytes added')).toEqual(['restic 1.00× missed']);
    expect(verdictsOf(results({ big: sized(0, 0) }), '1% of a big file changed in place: bytes added')).toEqual(['restic Infinity× met']);
  });

  it('divides the primitives by the processor seconds of the first backup', () => {
    const primitives = { chunking: 1, sha256: 2, compression: 2, sealing: 0.5, packSha256: 0.5 };
    expect(verdictsOf(results({ small: run({ [ours]: { first: [10] } }, { primitives }) }), 'CPU efficiency, small')).toEqual([' 60% met']);
    expect(verdictsOf(results({ small: run({ [ours]: { first: [10.2] } }, { primitives }) }), 'CPU efficiency, small')).toEqual([' 59% missed']);
  });

  it('wants a replication to be faster than each rclone, and to list and do nothing else in a night with nothing new', () => {
    const night = (requests: number): Results => {
      const replicate = run({ [ours]: { replicate: [10], 'replicate again': [1] }, rclone: { replicate: [11] }, 'rclone tuned': { replicate: [9] } }, { files: 10_005 });
      replicate.programs[ours]!['replicate again']!.requests.push(requests);
      return results({ replicate });
    };
    expect(verdictsOf(night(22), 'replicate 10,000 objects S3 to S3')).toEqual(['rclone 1.10× met', 'rclone tuned 0.90× missed']);
    expect(verdictsOf(night(22), 'requests of a night with nothing new')).toEqual([' 22 met']);
    expect(verdictsOf(night(23), 'requests of a night with nothing new')).toEqual([' 23 missed']);
  });

  it('names the step that the kernel killed, and holds a million files to the memory of ten thousand', () => {
    const below = (peakMiB: number, ended = 'well'): Results['confined'][string] => ({
      measuredAt: '2026-03-01T00:00:00Z', machine, limitMiB: 256, seed: 1, scale: 1, files: 1, bytes: 1,
      steps: [{ step: 'first', seconds: 1, cpuSeconds: 1, peakMiB, groupMiB: 256, ended }],
    });
    const judged = results({}, { tiny: below(100), million: below(170, 'killed for its memory') });
    expect(verdictsOf(judged, 'million below 256 MiB')).toEqual([' first: killed for its memory missed']);
    expect(verdictsOf(judged, 'tiny below 256 MiB')).toEqual([' well met']);
    expect(verdictsOf(judged, 'memory of a backup, million over tiny')).toEqual([' 70 MiB more missed']);
  });
});

describe('the median', () => {
  it.each([
    [[], undefined],
    [[3], 3],
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
  ])('of %j is %j', (values, expected) => {
    expect(median(values)).toBe(expected);
  });
});

describe('docs/benchmarks.md', () => {
  it('shows what docs/benchmarks.json holds, in tables and plot', () => {
    const document = readFileSync('docs/benchmarks.md', 'utf8');
    const measured = loadResults('docs/benchmarks.json');
    expect(withMeasured(document, measured)).toBe(document);
    expect(plot(measured)).toBe(readFileSync('docs/benchmarks.svg', 'utf8'));
  });
});

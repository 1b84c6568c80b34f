import { describe, expect, it } from '@jest/globals';
import { NO_ATTEMPT, type MoverPodFact, type ReplicationFacts } from '../../src/decide/index.ts';
import { workersState } from '../../src/decide/replication-workers.ts';
import { jobOf, podOf } from '../support/attempt-facts.ts';

const START = Date.parse('2026-03-02T04:00:00Z');
const MINUTE = 60_000;
const PATIENT = { 'backup.dupp.de/stalled-after': '30m' };
type Lately = 'alive' | 'silent' | 'unknown';

function worker(shard: number, changes: Partial<MoverPodFact> = {}): MoverPodFact {
  return podOf({ name: `w${shard}`, shard, phase: 'Running', node: 'node-1', running: true, runningSince: START, ...changes });
}

const ended = (shard: number) => worker(shard, { phase: 'Succeeded', running: false, terminated: { exitCode: 0, reason: 'Completed', message: '' } });

/** @param said - minutes after the start at which each last said that it gets on, and what its log says */
function stateAfter(minutes: number, pods: readonly MoverPodFact[], said: Readonly<Record<string, { aliveAt?: number; lately?: Lately }>> = {}, annotations: Record<string, string> = PATIENT) {
  const workers: ReplicationFacts['workers'] = new Map(
    Object.entries(said).map(([pod, { aliveAt, lately }]) => [pod, { spoken: { progress: undefined, trouble: undefined, ...(aliveAt === undefined ? {} : { aliveAt: START + aliveAt * MINUTE }) }, lately }]),
  );
  return workersState({ attempt: { ...NO_ATTEMPT, job: jobOf(START, { annotations }), pods }, workers }, START + minutes * MINUTE);
}

describe('the workers of a copy', () => {
  it.each<[string, ReturnType<typeof stateAfter>, object]>([
    ['that began a moment ago are let be', stateAfter(5, [worker(0), worker(1)]), { kind: 'working', lookAt: START + 30 * MINUTE }],
    ['are let be while one of them says that it gets on', stateAfter(40, [worker(0), worker(1)], { w1: { aliveAt: 39 } }), { kind: 'working', lookAt: START + 69 * MINUTE }],
    ['of which nothing is heard have their logs read', stateAfter(40, [worker(0), worker(1)]), { kind: 'logsWanted', pods: ['w0', 'w1'] }],
    ['are let be while a log says that one gets on', stateAfter(40, [worker(0), worker(1)], { w0: { lately: 'silent' }, w1: { lately: 'alive' } }), { kind: 'working' }],
    ['are let be while a log cannot be read', stateAfter(40, [worker(0)], { w0: { lately: 'unknown' } }), { kind: 'working' }],
    ['are let be while one waits for a node', stateAfter(40, [worker(0), worker(1, { running: false, node: undefined, phase: 'Pending' })], { w0: { lately: 'silent' } }), { kind: 'working' }],
    ['are let be while one is made ready on its node', stateAfter(40, [worker(0), worker(1, { running: false, phase: 'Pending' })], { w0: { lately: 'silent' } }), { kind: 'working' }],
    ['that have all ended are the Job\'s to tell of', stateAfter(40, [ended(0), ended(1)]), { kind: 'working' }],
    ['of an earlier release, whose Job names no patience, are let be', stateAfter(600, [worker(0)], { w0: { lately: 'silent' } }, {}), { kind: 'working' }],
  ])('%s', (_, state, expected) => {
    expect(state).toMatchObject(expected);
  });

  it('are over once all that are left hang, each with its reason by shard', () => {
    const state = stateAfter(40, [ended(0), worker(2), worker(1)], { w1: { lately: 'silent' }, w2: { lately: 'silent', aliveAt: 8 } });
    expect(state).toEqual({
      kind: 'over',
      reasons: new Map([
        [2, expect.stringMatching(/^Stalled: Pod w2 of the mover on node node-1 has read, stored and written nothing since 2026-03-02T04:08:00Z .*both storage services, as seen from that node, answer\.$/)],
        [1, expect.stringMatching(/^Stalled: Pod w1 .* since 2026-03-02T04:00:00Z/)],
      ]),
    });
  });

  it('on a node that does not answer count as over after its two minutes, without a log', () => {
    const lost = worker(0, { nodeLostSince: START + 10 * MINUTE });
    expect(stateAfter(11, [lost, ended(1)])).toMatchObject({ kind: 'working' });
    expect(stateAfter(13, [lost, ended(1)])).toEqual({ kind: 'over', reasons: new Map([[0, "NodeLost: The mover's node node-1 does not answer any more."]]) });
    expect(stateAfter(13, [lost, worker(1)])).toMatchObject({ kind: 'working' });
  });
});

/** What is promised, as data, and the judgement of a run by it. */
import { efficiencyOf, medianOf, ours, type Quantity, type Results, type StepName } from './results.ts';

/** Ours against a peer in one quantity of one step. */
interface PeerTarget {
  readonly what: string;
  readonly data: string;
  readonly step: StepName;
  readonly quantity: Quantity;
  /** Every program that was measured, or those that are named. */
  readonly peers: 'every' | readonly string[];
  /** The peer's value divided by ours must be this or more. */
  readonly ratio: number;
}

const programsOfMany = ['restic', 'rustic', 'kopia', 'borg'] as const;
const backups = [
  ['small', '1,000 of the small files changed'],
  ['big', '1% of a big file changed in place'],
] as const;

export const peerTargets: readonly PeerTarget[] = [
  { what: 'first backup, small', data: 'small', step: 'first', quantity: 'seconds', peers: ['restic'], ratio: 2 },
  { what: 'first backup, small', data: 'small', step: 'first', quantity: 'seconds', peers: 'every', ratio: 1 },
  { what: 'first backup, big', data: 'big', step: 'first', quantity: 'seconds', peers: ['restic'], ratio: 3 },
  { what: 'first backup, big', data: 'big', step: 'first', quantity: 'seconds', peers: 'every', ratio: 1 },
  ...backups.flatMap(([data, changed]): PeerTarget[] => [
    { what: `unchanged again, ${data}`, data, step: 'again', quantity: 'seconds', peers: ['kopia'], ratio: 1 },
    { what: changed, data, step: 'changed', quantity: 'seconds', peers: 'every', ratio: 1 },
    { what: `${changed}: bytes added`, data, step: 'changed', quantity: 'bytes', peers: ['restic'], ratio: 1 },
    { what: `repository size, ${data}`, data, step: 'first', quantity: 'bytes', peers: ['restic'], ratio: 1 / 1.02 },
    { what: `forget 1 of 7 and prune, ${data}`, data, step: 'prune', quantity: 'seconds', peers: ['restic', 'rustic'], ratio: 1 },
  ]),
  { what: 'restore, small', data: 'small', step: 'restore', quantity: 'seconds', peers: ['restic'], ratio: 2 },
  { what: 'restore, big', data: 'big', step: 'restore', quantity: 'seconds', peers: programsOfMany, ratio: 1 },
  { what: 'replicate 10,000 objects S3 to S3', data: 'replicate', step: 'replicate', quantity: 'seconds', peers: ['rclone', 'rclone tuned'], ratio: 1 },
];

/** MiB, of every step of ours. */
export const peakMiBTarget = 256;
/** A share: see `efficiencyOf`. */
export const efficiencyTarget = 0.6;
/** Memory at a million files, of that at ten thousand; the rest is the index. */
export const memoryGrowthTarget = { from: 'tiny', to: 'million', indexMiB: 64 } as const;

/** Objects of a page of S3's listings: a night with nothing new may ask for as many pages as there are, of each side, and for nothing else. */
export const listedAtOnce = 1000;

export interface Verdict {
  readonly what: string;
  /** Against whom; ours alone where empty. */
  readonly peer: string;
  readonly measured: string;
  readonly wanted: string;
  readonly isMet: boolean;
}

/** A verdict for each target whose data, in full size, and peer were measured, in the targets' order. */
export function judge(results: Results): Verdict[] {
  const full = { ...results, runs: inFullSize(results.runs), confined: inFullSize(results.confined) };
  return [...peerTargets.flatMap((target) => judgePeers(full, target)), ...judgeOurs(full), ...judgeQuietNight(full), ...judgeConfined(full)];
}

/** Names of data that was measured in another size: with little data a program's start decides. */
export function tooSmall({ runs, confined }: Results): string[] {
  return [...Object.entries(runs), ...Object.entries(confined)].filter(([, { scale }]) => scale < 1).map(([name]) => name);
}

function inFullSize<T extends { readonly scale: number }>(measured: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(measured).filter(([, { scale }]) => scale >= 1));
}

function judgePeers(results: Results, target: PeerTarget): Verdict[] {
  const run = results.runs[target.data];
  if (run === undefined) return [];
  const { step, quantity, what, ratio: wanted } = target;
  const mine = medianOf(run, ours, step, quantity);
  const peers = target.peers === 'every' ? Object.keys(run.programs).filter((name) => name !== ours) : target.peers;
  return peers.flatMap((peer) => {
    const theirs = medianOf(run, peer, step, quantity);
    if (mine === undefined || theirs === undefined) return [];
    const ratio = mine === 0 ? Infinity : theirs / mine;
    return [{ what, peer, measured: `${ratio.toFixed(2)}×`, wanted: `≥ ${wanted.toFixed(2)}×`, isMet: ratio >= wanted }];
  });
}

function judgeOurs(results: Results): Verdict[] {
  return Object.entries(results.runs).flatMap(([data, run]) => {
    const steps = data === 'replicate' ? [] : Object.values(run.programs[ours] ?? {});
    const peak = Math.max(0, ...steps.flatMap(({ samples }) => samples.map(({ peakMiB }) => peakMiB)));
    const share = efficiencyOf(run);
    return [
      ...(peak === 0 ? [] : [{ what: `peak memory, ${data}`, peer: '', measured: `${peak.toFixed(0)} MiB`, wanted: `≤ ${peakMiBTarget} MiB`, isMet: peak <= peakMiBTarget }]),
      ...(share === undefined ? [] : [{ what: `CPU efficiency, ${data}`, peer: '', measured: percent(share), wanted: `≥ ${percent(efficiencyTarget)}`, isMet: share >= efficiencyTarget }]),
    ];
  });
}

function judgeQuietNight({ runs: { replicate } }: Results): Verdict[] {
  const requests = replicate && medianOf(replicate, ours, 'replicate again', 'requests');
  if (replicate === undefined || requests === undefined) return [];
  // The replica's ledger is one more than the source has.
  const pages = Math.ceil(replicate.files / listedAtOnce) + Math.ceil((replicate.files + 1) / listedAtOnce);
  return [{ what: 'requests of a night with nothing new', peer: '', measured: String(requests), wanted: `≤ ${pages}`, isMet: requests <= pages }];
}

function judgeConfined({ confined }: Results): Verdict[] {
  const ends = Object.entries(confined).map(([data, { limitMiB, steps }]) => {
    const bad = steps.filter(({ ended }) => ended !== 'well');
    return { what: `${data} below ${limitMiB} MiB`, peer: '', measured: bad.length === 0 ? 'well' : bad.map(({ step, ended }) => `${step}: ${ended}`).join('; '), wanted: 'well', isMet: bad.length === 0 };
  });
  const { from, to, indexMiB } = memoryGrowthTarget;
  const [few, many] = [peakOfBackup(confined[from]), peakOfBackup(confined[to])];
  if (few === undefined || many === undefined) return ends;
  return [...ends, { what: `memory of a backup, ${to} over ${from}`, peer: '', measured: `${(many - few).toFixed(0)} MiB more`, wanted: `≤ ${indexMiB} MiB (the index)`, isMet: many - few <= indexMiB }];
}

function peakOfBackup(confined: Results['confined'][string] | undefined): number | undefined {
  return confined?.steps.find(({ step }) => step === 'first')?.peakMiB;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)}%`;
}

import { ANNOTATION_CREDENTIALS_EXPIRE } from './mover-job.ts';
import type { JobFact } from './observed.ts';

/** Share of what is left of a session when it is renewed: the kubelet needs up to two minutes to show a changed Secret. */
const RENEW_SHARE = 0.5;
/** Sessions are not renewed more often than this, however short they are, and not later than three minutes before their end. */
const MIN_GAP_MS = 60_000;
const MIN_LEAD_MS = 3 * 60_000;

/** Milliseconds since the epoch at which the credentials of a Job are to be renewed; undefined for those that do not expire. */
export function renewalTime(job: JobFact | undefined): number | undefined {
  const expire = Date.parse(job?.annotations[ANNOTATION_CREDENTIALS_EXPIRE] ?? '');
  const renewed = Date.parse(job?.annotations[ANNOTATION_CREDENTIALS_RENEWED] ?? '');
  if (job === undefined || Number.isNaN(expire)) return undefined;
  const since = Number.isNaN(renewed) ? job.createdAt : renewed;
  const lead = Math.max(MIN_LEAD_MS, (expire - since) * RENEW_SHARE);
  return Math.max(since + MIN_GAP_MS, expire - lead);
}

const LEAST_WAIT_MS = 10_000;

/** When a mover that is well is looked at again though nothing happens: for its credentials, or for its node that does not answer. */
export function watchUntil(renewal: number | undefined, lookAt: number | undefined, now: number): number | undefined {
  const times = [renewal === undefined ? undefined : Math.max(renewal, now + LEAST_WAIT_MS), lookAt].filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

export function renewalDue(job: JobFact | undefined, now: number): boolean {
  const time = renewalTime(job);
  return time !== undefined && time <= now;
}

export const ANNOTATION_CREDENTIALS_RENEWED = `${ANNOTATION_CREDENTIALS_EXPIRE}-renewed`;

import { readFile } from 'node:fs/promises';
import { createPublicKey } from 'node:crypto';
import * as z from 'zod';
import { readEvents, verifyTrail, type AuditVerification } from '../../audit/index.ts';
import { TenantId } from '../../api/index.ts';
import { printable } from '../../mover/printable.ts';
import { EngineError } from '../../restic/errors.ts';
import { firstKey, type ObjectStore } from '../../storage/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { openStoreAt, StoreOptions, withStore } from '../store-access.ts';
import { formatTable } from '../table.ts';
import { wallTime } from '../time-text.ts';
import { UsageError } from '../usage-error.ts';

const ListOptions = StoreOptions.extend({ repository: z.string().min(1) });
const VerifyOptions = ListOptions.extend({
  replica: z.string().min(1).optional(),
  publicKey: z.array(z.string().min(1)).default([]),
  expect: z
    .string()
    .regex(/^[1-9][0-9]{0,11}:[0-9a-f]{64}$/, { message: 'it must be SEQ:HASH as an earlier "audit verify" printed it' })
    .optional(),
});

/** `tenant-backup audit list`: what was done, oldest first. */
export async function auditList(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(ListOptions, given);
  const output = outputFor(options, context);
  return withStore({ ...options, repository: tenantUrl(options.repository).href }, context, async (store) => {
    await mustHold(store, context.signal);
    const rows: string[][] = [];
    for await (const event of readEvents(store, context.signal)) {
      if (output.json) output.print({ type: 'event', ...event }, '');
      else rows.push([String(event.seq), wallTime(event.at), event.action, event.object, event.actor, wordsOf(event.details)].map(printable));
    }
    if (!output.json) output.print({ type: 'events' }, rows.length === 0 ? 'no events' : formatTable(['Seq', 'Time', 'Action', 'Object', 'Actor', 'Details'], rows));
    return EXIT.done;
  });
}

/** `tenant-backup audit verify`: whether the trail is whole and as it was written. Exit status 6 when it is not. */
export async function auditVerify(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(VerifyOptions, given);
  const output = outputFor(options, context);
  const tenantId = tenantIdOf(tenantUrl(options.repository));
  const trustedKeys = options.publicKey.length === 0 ? undefined : await Promise.all(options.publicKey.map(readPublicKey));
  const replica = options.replica === undefined ? undefined : await openStoreAt('--replica', tenantUrl(options.replica).href, options, context);
  let verification: AuditVerification;
  try {
    verification = await withStore({ ...options, repository: tenantUrl(options.repository).href }, context, async (store) => {
      // A replica may know of a trail that is gone here altogether.
      if (replica === undefined) await mustHold(store, context.signal);
      return verifyTrail(store, { tenantId, replica, trustedKeys, signal: context.signal });
    });
  } finally {
    await replica?.close();
  }
  const findings = [...verification.findings, ...againstExpected(verification, options.expect)];
  for (const { kind, seq, message } of findings) output.warn({ type: 'finding', kind, ...(seq === undefined ? {} : { seq }), message }, printable(`${kind}: ${message}`));
  const { events, newest, newestHash, keys, replicaNewest } = verification;
  output.print({ type: 'summary', command: 'audit verify', events, newest, newestHash, keys, replicaNewest, findings: findings.length, sound: findings.length === 0 }, summaryOf(verification, findings.length, trustedKeys !== undefined));
  return findings.length === 0 ? EXIT.done : EXIT.damaged;
}

function againstExpected({ newest, newestHash }: AuditVerification, expected: string | undefined): { kind: 'CutOff' | 'Forked'; seq: number; message: string }[] {
  if (expected === undefined) return [];
  const [seq = '', hash = ''] = expected.split(':');
  const number = Number(seq);
  if (number > newest) return [{ kind: 'CutOff', seq: number, message: `--expect names event ${number}, and the trail ends with ${newest}` }];
  return number === newest && hash !== newestHash ? [{ kind: 'Forked', seq: number, message: `event ${number} is another one than --expect names` }] : [];
}

function summaryOf(verification: AuditVerification, findings: number, isKeyNamed: boolean): string {
  const { events, newest, newestHash, keys, replicaNewest } = verification;
  if (events === 0 && findings === 0) return 'the trail is empty';
  const signed = keys.length === 0 ? '' : `, signed by ${keys.join(', ')}`;
  const second = replicaNewest === undefined ? '; without --replica a trail that was cut off with its heads cannot be told from a shorter one' : `; the second data center has it up to ${replicaNewest}`;
  const trust = isKeyNamed ? '' : '; compare that fingerprint with the one that the installation published, or give --public-key';
  return findings === 0
    ? `${events} events, each as it was written${signed}${trust}${second}\nnewest: ${newest}:${newestHash}`
    : `${findings} things are wrong with the trail of ${events} events${signed}; keep both buckets as they are, and find out who could write there`;
}

/** @throws {EngineError} `NoRepository`: an empty trail at a place that was misspelt would look sound. */
async function mustHold(store: ObjectStore, signal: AbortSignal): Promise<void> {
  if ((await firstKey(store, '', { signal })) !== undefined) return;
  throw new EngineError('NoRepository', `There is nothing of a tenant at ${store.location}. Check the place, and the tenant's id.`, { context: { location: store.location } });
}

const GENERATION = /\/g[1-9][0-9]*\/?$/;

/** Where a tenant's trail lies, of its own URL or that of one of its repositories. */
function tenantUrl(url: string): URL {
  if (!URL.canParse(url)) throw new UsageError(`${url}: this is no URL; give file:///directory or s3://bucket/prefix/tenants/TENANT?endpoint=…`);
  const parsed = new URL(url);
  parsed.pathname = parsed.pathname.replace(GENERATION, '');
  return parsed;
}

function tenantIdOf(url: URL): string {
  const last = url.pathname.replace(/\/+$/, '').split('/').at(-1) ?? '';
  if (TenantId.safeParse(last).success) return last;
  throw new UsageError(`--repository ${url.href}: the URL must end with the tenant's id, …/tenants/<32 hex digits>, for events of another tenant do not count`);
}

/** The 32 bytes in base64, or a file in PEM. */
async function readPublicKey(given: string): Promise<string> {
  if (/^[A-Za-z0-9+/]{43}=$/.test(given)) return given;
  try {
    const der = createPublicKey(await readFile(given)).export({ format: 'der', type: 'spki' });
    return der.subarray(-32).toString('base64');
  } catch (cause) {
    throw new UsageError(`--public-key ${given}: neither an Ed25519 key in base64 nor a PEM file with one (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}

function wordsOf(details: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

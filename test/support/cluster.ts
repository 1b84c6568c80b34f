// The running cluster, as tests and the demo use it: kubectl, waiting, and builders for what a platform engineer applies.
import { spawn } from 'node:child_process';
import { readGroundEnvironment, type GroundEnvironment } from '../ground/env-file.ts';

export const SYSTEM_NAMESPACE = 'tenant-backup-system';
export const GROUP_VERSION = 'backup.dupp.de/v1alpha1';

/** Endpoints and credentials of the cluster under test; `make cluster-up` writes them. */
export function environment(): GroundEnvironment {
  return readGroundEnvironment();
}

/** What kubectl said on standard error is the message. */
export class KubectlError extends Error {
  constructor(args: readonly string[], status: number | null, stderr: string) {
    super(`kubectl ${args.join(' ')} ended ${status ?? 'by a signal'}: ${stderr.trim()}`);
    this.name = 'KubectlError';
  }
}

/**
 * Runs kubectl with the cluster's kubeconfig. Resolves to its trimmed standard output.
 * @throws {KubectlError}
 */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const env = environment();
  const child = spawn(env['KUBECTL'] ?? 'kubectl', args, { env: { ...process.env, KUBECONFIG: env['KUBECONFIG'] }, stdio: ['pipe', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (status !== 0) throw new KubectlError(args, status, Buffer.concat(errors).toString('utf8'));
  return Buffer.concat(out).toString('utf8').trim();
}

/** Applies objects as `kubectl apply` does; unknown fields are refused. */
export async function apply(objects: readonly object[]): Promise<string> {
  return kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

/** Creates objects; an object that exists is an error. */
export async function create(objects: readonly object[]): Promise<string> {
  return kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

/** An object as JSON; `undefined` when there is none. */
export async function getObject<T = Readonly<Record<string, unknown>>>(kind: string, name: string, namespace?: string): Promise<T | undefined> {
  const text = await kubectl(['get', kind, name, ...(namespace === undefined ? [] : ['-n', namespace]), '--ignore-not-found', '-o', 'json']);
  return text === '' ? undefined : (JSON.parse(text) as T);
}

/** All objects of a kind in a namespace (or of the whole cluster) that match the labels. */
export async function listObjects<T = Readonly<Record<string, unknown>>>(kind: string, namespace?: string, labels?: string): Promise<T[]> {
  const where = namespace === undefined ? ['-A'] : ['-n', namespace];
  const text = await kubectl(['get', kind, ...where, ...(labels === undefined ? [] : ['-l', labels]), '-o', 'json']);
  return (JSON.parse(text) as { items: T[] }).items;
}

const LOOK_EVERY_MS = 150;

/**
 * Looks until `isSo` says true or something else than false and undefined, which it resolves to.
 * @throws {Error} after `seconds`, with the last error of `isSo` as its cause
 */
export async function waitFor<T>(what: string, seconds: number, isSo: () => Promise<T | false | undefined>): Promise<T> {
  const end = performance.now() + seconds * 1000;
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await isSo();
      if (answer !== false && answer !== undefined) return answer;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`, { cause: lastError });
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

export interface ConditionLike {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export interface StatusLike {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string; readonly finalizers?: string[] };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>> & { readonly phase?: string; readonly conditions?: readonly ConditionLike[] };
}

export function conditionOf(object: StatusLike | undefined, type: string): ConditionLike | undefined {
  return object?.status?.conditions?.find((condition) => condition.type === type);
}

/** Short names clash with other programs' plurals; these do not. */
export type OurKind = 'bl' | 'bt' | 'bp' | 'bk' | 'brs';

/** Waits until the object is in one of the phases, and resolves to it. */
export async function waitForPhase(kind: OurKind, name: string, namespace: string, phases: readonly string[], seconds = 60): Promise<StatusLike> {
  let last: StatusLike | undefined;
  try {
    return await waitFor(`${kind} ${namespace}/${name} to be ${phases.join(' or ')}`, seconds, async () => {
      last = await getObject<StatusLike>(kind, name, namespace);
      return last?.status?.phase !== undefined && phases.includes(last.status.phase) ? last : undefined;
    });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}; it is ${JSON.stringify(last?.status ?? 'absent')}`, { cause: error });
  }
}

/** Waits until the condition has this status (and reason, if given), and resolves to it. */
export async function waitForCondition(
  kind: OurKind,
  name: string,
  namespace: string | undefined,
  wanted: { readonly type: string; readonly status: string; readonly reason?: string | RegExp },
  seconds = 60,
): Promise<ConditionLike> {
  let last: ConditionLike | undefined;
  const isReason = (reason: string): boolean =>
    wanted.reason === undefined || (typeof wanted.reason === 'string' ? wanted.reason === reason : wanted.reason.test(reason));
  try {
    return await waitFor(`${wanted.type}=${wanted.status} of ${kind} ${name}`, seconds, async () => {
      last = conditionOf(await getObject<StatusLike>(kind, name, namespace), wanted.type);
      return last?.status === wanted.status && isReason(last.reason) ? last : undefined;
    });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}; it is ${JSON.stringify(last ?? 'absent')}`, { cause: error });
  }
}

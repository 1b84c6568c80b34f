import { STREAMS_DIRECTORY, VOLUMES_DIRECTORY } from '../api/index.ts';

/** The tags of a snapshot that a mover makes (`docs/layout.md`). */
export function snapshotTags(orders: { readonly policy: string; readonly backup: string; readonly attempt: { readonly uid: string } }): string[] {
  return [policyTag(orders.policy), `backup=${orders.backup}`, uidTag(orders.attempt.uid)];
}

export function policyTag(policy: string): string {
  return `policy=${policy}`;
}

/** Names the Backup for good: names come again, UIDs do not. */
export function uidTag(uid: string): string {
  return `uid=${uid}`;
}

/** The path under which a snapshot shows a claim, whatever it is mounted at. */
export function volumePath(claim: string): string {
  return `${VOLUMES_DIRECTORY}/${claim}`;
}

/** The path under which a snapshot shows a stream. */
export function streamPath(name: string): string {
  return `${STREAMS_DIRECTORY}/${name}`;
}

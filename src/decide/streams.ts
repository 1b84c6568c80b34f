/** The streams of a backup: where their commands run, and what mover and bridge are told. */
import { MOVER_CONTRACT_VERSION, durationToMs, type Backup, type BackupOrders, type BackupPolicy, type BridgeOrders, type Stream } from '../api/index.ts';
import { placesOf, type ExecPodFact, type Places } from './exec-target.ts';
import type { Failure } from './failure-reason.ts';

/** What a mover with streams needs beside its own orders. */
export interface StreamBridge {
  readonly orders: BridgeOrders;
  /** The namespace and the pods that its service account may run commands in, and no others. */
  readonly namespace: string;
  readonly pods: readonly string[];
}

export type StreamsChoice =
  | { readonly ok: true; readonly streams: NonNullable<BackupOrders['streams']>; readonly bridge: StreamBridge | undefined }
  | ({ readonly ok: false } & Failure);

/** The streams that a backup is to hold. A safety backup is of a workload that is down: there is nobody to ask for a dump. */
export function streamsOf(backup: Backup, policy: BackupPolicy): readonly Stream[] {
  return backup.spec.trigger === 'Safety' ? [] : (policy.spec.streams ?? []);
}

export function chooseStreams(backup: Backup, streams: readonly Stream[], pods: readonly ExecPodFact[]): StreamsChoice {
  const namespace = backup.metadata.namespace ?? '';
  const chosen: BridgeOrders['streams'][number][] = [];
  const names = new Set<string>();
  for (const stream of streams) {
    const found = placesOf(stream, backup.status?.volumes ?? [], pods);
    const place = found.kind === 'found' ? found.places[0] : undefined;
    if (place === undefined && stream.onError === 'Fail') {
      return { ok: false, reason: found.kind === 'wrong' ? found.reason : 'StreamPodMissing', message: `Stream ${stream.name} cannot be read: ${messageOf(found)}` };
    }
    if (place !== undefined) names.add(place.pod);
    chosen.push({
      name: stream.name,
      at: place === undefined ? { refused: messageOf(found) } : { namespace, ...place },
      command: [...stream.command],
      timeoutMs: durationToMs(stream.timeout),
    });
  }
  const told = streams.map(({ name, onError }) => ({ name, mayFail: onError === 'Continue' }));
  if (chosen.length === 0) return { ok: true, streams: told, bridge: undefined };
  return { ok: true, streams: told, bridge: { orders: { version: MOVER_CONTRACT_VERSION, streams: chosen }, namespace, pods: [...names].sort() } };
}

function messageOf(places: Places): string {
  return places.kind === 'found' ? '' : places.message;
}

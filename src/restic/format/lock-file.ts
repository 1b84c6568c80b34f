import { goJson } from './go-text.ts';
import { JsonReader, parseJson } from './json.ts';

/** A file under `locks/` (design.rst "Locks"). */
export interface LockFile {
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export function encodeLock(lock: LockFile): Uint8Array {
  const json = goJson({
    time: lock.time,
    exclusive: lock.exclusive,
    hostname: lock.hostname,
    username: lock.username,
    pid: lock.pid,
    uid: lock.uid === 0 ? undefined : lock.uid,
    gid: lock.gid === 0 ? undefined : lock.gid,
  });
  return Buffer.from(json, 'utf8');
}

/** @throws {EngineError} `Damaged` */
export function parseLock(json: Uint8Array, what: string): LockFile {
  const reader = new JsonReader(parseJson(json, what), what);
  return {
    time: reader.text('time'),
    exclusive: reader.flag('exclusive'),
    hostname: reader.optionalText('hostname') ?? '',
    username: reader.optionalText('username') ?? '',
    pid: reader.optionalCount('pid') ?? 0,
    uid: reader.optionalCount('uid') ?? 0,
    gid: reader.optionalCount('gid') ?? 0,
  };
}

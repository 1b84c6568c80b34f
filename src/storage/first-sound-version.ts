import type { ObjectVersion } from './object-versions.ts';

/** A version, and what its bytes were read as. */
export interface SoundVersion<T> {
  readonly version: ObjectVersion;
  readonly value: T;
}

/**
 * The one rule by which a locked bucket is read (`docs/layout.md`, "Reading a locked bucket"): of several versions under a name the oldest counts whose bytes are
 * what they should be, whatever was put on top.
 * @param versions - oldest first
 * @param judge - `undefined` for bytes that are not
 */
export async function firstSoundVersion<T>(versions: readonly ObjectVersion[], read: (version: ObjectVersion) => Promise<Uint8Array>, judge: (bytes: Uint8Array) => T | undefined): Promise<SoundVersion<T> | undefined> {
  for (const version of versions) {
    const value = judge(await read(version));
    if (value !== undefined) return { version, value };
  }
  return undefined;
}

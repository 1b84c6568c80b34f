/** What lies in the bucket of a location with one tenant: to whoever has no key it looks as if movers had written it. */
import { hash } from 'node:crypto';
import { sealManifest, type ManifestContent } from '../../src/mover/manifest.ts';
import { canonicalJson } from '../../src/storage/index.ts';
import type { Random } from './random.ts';

/** Objects of a night: a snapshot, its manifest, an index file, and packs. */
const objectsOfNight = 100;
/** Every so many packs one is as large as those of large files. */
const largePackEvery = 96;
const KIB = 1024;
const firstNight = Date.UTC(2026, 0, 1);

export interface SourceObject {
  /** Below the location's prefix. */
  readonly key: string;
  readonly content: Uint8Array;
}

export const benchTenant = 'be'.repeat(16);
export const benchRepository = `tenants/${benchTenant}/g1`;

/** The objects of so many nights, the same for a seed: mostly 1 to 64 KiB, small ones as many as large ones, and a pack of 1 to 4 MiB a night. */
export function* tenantObjects(nights: number, random: Random): Generator<SourceObject> {
  yield { key: `tenants/${benchTenant}/tenant/1.json`, content: canonicalJson({ version: 1, rev: 1 }) };
  const wrapping = named(random, 400);
  const key = named(random, 450);
  yield { key: `${benchRepository}/wrappings/${wrapping.id}.json`, content: wrapping.content };
  yield { key: `${benchRepository}/wrappings/first.json`, content: canonicalJson({ version: 1, tenant: benchTenant, generation: 1, wrappings: [wrapping.id] }) };
  yield { key: `${benchRepository}/keys/${key.id}`, content: key.content };
  yield { key: `${benchRepository}/config`, content: random.fill(Buffer.alloc(156)) };
  const foundations = [
    { name: 'config', size: 156 },
    { name: `keys/${key.id}`, size: 450 },
    { name: `wrappings/${wrapping.id}.json`, size: 400 },
  ];
  for (let night = 0; night < nights; night += 1) yield* objectsOf(night, foundations, random);
}

function* objectsOf(night: number, foundations: ManifestContent['files'], random: Random): Generator<SourceObject> {
  const files = [...foundations];
  const packs = Array.from({ length: objectsOfNight - 3 }, (_, nth) => ({ folder: 'data', bytes: nth % largePackEvery === 1 ? (1 + random.below(4)) * KIB * KIB : smallSize(random) }));
  for (const { folder, bytes } of [...packs, { folder: 'index', bytes: smallSize(random) }]) {
    const { id, content } = named(random, bytes);
    const name = folder === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${folder}/${id}`;
    files.push({ name, size: content.byteLength, ...(folder === 'index' ? { exported: true } : {}) });
    yield { key: `${benchRepository}/${name}`, content };
  }
  const { id, content } = named(random, 600);
  yield { key: `${benchRepository}/snapshots/${id}`, content };
  files.push({ name: `snapshots/${id}`, size: content.byteLength });
  const createdAt = new Date(firstNight + night * 86_400_000).toISOString();
  const { bytes } = sealManifest({ rev: 1, tenant: benchTenant, generation: 1, snapshot: id, createdAt, complete: true, files }, () => new Uint8Array(32));
  yield { key: `${benchRepository}/manifests/${id}/1.json`, content: bytes };
}

/** 1 to 64 KiB, each power of two as likely as another. */
function smallSize(random: Random): number {
  return Math.round(KIB * 64 ** (random.below(10_000) / 10_000));
}

function named(random: Random, bytes: number): { readonly id: string; readonly content: Buffer } {
  const content = random.fill(Buffer.alloc(bytes));
  return { id: hash('sha256', content, 'hex'), content };
}

import { randomBytes } from 'node:crypto';
import { EngineError } from '../errors.ts';
import { damaged } from './damaged.ts';
import { goJson } from './go-text.ts';
import { JsonReader, parseJson } from './json.ts';
import { isIrreducible, randomIrreducible } from './polynomial.ts';

/** The file `config` (design.rst "Repository Format"). */
export interface Config {
  /** 2, or 1 (read, and written without compression). */
  readonly version: 1 | 2;
  readonly id: string;
  /** Lower-case hex of the coefficients. */
  readonly chunkerPolynomial: string;
}

export function newConfig(): Config {
  return { version: 2, id: randomBytes(32).toString('hex'), chunkerPolynomial: randomIrreducible().toString(16) };
}

export function encodeConfig(config: Config): Uint8Array {
  const json = goJson({ version: config.version, id: config.id, chunker_polynomial: config.chunkerPolynomial });
  return Buffer.from(json, 'utf8');
}

/** @throws {EngineError} `UnknownVersion`; `Damaged` */
export function parseConfig(json: Uint8Array): Config {
  const reader = new JsonReader(parseJson(json, 'config'), 'config');
  const version = reader.count('version');
  if (version !== 1 && version !== 2) {
    throw new EngineError('UnknownVersion', `This repository has format version ${version}; versions 1 and 2 can be read. Use a newer tenant-backup.`);
  }
  const chunkerPolynomial = reader.text('chunker_polynomial');
  const isHex = /^[0-9a-f]{1,16}$/.test(chunkerPolynomial);
  if (!isHex || !isIrreducible(BigInt(`0x${chunkerPolynomial}`))) throw damaged('config', 'its chunker polynomial is not irreducible');
  return { version, id: reader.id('id'), chunkerPolynomial };
}

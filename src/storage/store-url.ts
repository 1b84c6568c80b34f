import { isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import { StorageError } from './errors.ts';
import { asFolder } from './object-key.ts';

export interface FileAddress {
  readonly kind: 'file';
  /** Absolute path of the directory. */
  readonly path: string;
}

export interface S3Address {
  readonly kind: 's3';
  readonly bucket: string;
  /** With a trailing slash, or empty. */
  readonly prefix: string;
  /** `undefined`: AWS itself, by region. */
  readonly endpoint?: string;
  readonly region?: string;
  /** `https://endpoint/bucket/key` instead of `https://bucket.endpoint/key`; the default wherever an endpoint is given. */
  readonly pathStyle: boolean;
}

export type StoreAddress = FileAddress | S3Address;

const FORMS = 'write file:///directory or s3://bucket/prefix?endpoint=https://…&region=…';
// S3's naming rules; a dot is allowed, two dots in a row or a number that reads as an IP address are not.
const BUCKET = /^[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]$/;

/**
 * Reads a repository URL (`engine.md`, "Command line").
 * @throws {StorageError} `InvalidUrl`, saying which part is wrong. The message never repeats a password in the URL.
 */
export function parseStoreUrl(text: string): StoreAddress {
  if (!URL.canParse(text)) throw invalid(`this is no URL; ${FORMS}`);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw invalid('a URL must not hold credentials; give them in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or a profile');
  }
  if (url.hash !== '') throw invalid(`"${url.hash}" means nothing here; write "#" as %23`);
  switch (url.protocol) {
    case 'file:':
      return fileAddress(url);
    case 's3:':
      return s3Address(url);
    default:
      throw invalid(`"${url.protocol}//" is not a kind of store that is known; ${FORMS}`);
  }
}

function fileAddress(url: URL): FileAddress {
  if (url.search !== '') throw invalid('a file:// URL takes no parameters');
  if (url.host !== '') throw invalid(`file://${url.host}… names a host; a local directory has three slashes: file:///directory`);
  let path: string;
  try {
    path = fileURLToPath(url);
  } catch (error) {
    throw invalid('the path of this file:// URL cannot be read; check its %-escapes', error);
  }
  if (/^\/*$/.test(path)) throw invalid(`it names no directory but the root of the file system, which is no place for a repository; ${FORMS}`);
  if (path.includes('\0')) throw invalid('a path cannot hold a NUL');
  return { kind: 'file', path: path.replace(/\/+$/, '') };
}

function s3Address(url: URL): S3Address {
  const bucket = url.host;
  if (!BUCKET.test(bucket) || isIP(bucket) !== 0) {
    throw invalid(`"${bucket}" is no bucket name: 3 to 63 lower-case letters, digits, dots and hyphens; ${FORMS}`);
  }
  const { endpoint, region, pathStyle } = s3Parameters(url.searchParams);
  return {
    kind: 's3',
    bucket,
    prefix: s3Prefix(url.pathname),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    pathStyle: pathStyle ?? endpoint !== undefined,
  };
}

function s3Prefix(pathname: string): string {
  try {
    return asFolder(decodeURIComponent(pathname).slice(1));
  } catch (error) {
    throw invalid(`"${pathname}" is no usable prefix: names joined by single slashes`, error);
  }
}

function s3Parameters(parameters: URLSearchParams): { endpoint?: string; region?: string; pathStyle?: boolean } {
  const read: { endpoint?: string; region?: string; pathStyle?: boolean } = {};
  for (const [name, value] of parameters) {
    if (parameters.getAll(name).length > 1) throw invalid(`the parameter "${name}" is given twice`);
    switch (name) {
      case 'endpoint':
        read.endpoint = parseEndpoint(value);
        break;
      case 'region':
        if (!/^[A-Za-z0-9-]{1,64}$/.test(value)) throw invalid(`"${value}" is no region; an example is eu-central-1`);
        read.region = value;
        break;
      case 'path-style':
        if (value !== 'true' && value !== 'false') throw invalid('path-style is true or false');
        read.pathStyle = value === 'true';
        break;
      default:
        throw invalid(`the parameter "${name}" is not known; endpoint, region and path-style are`);
    }
  }
  return read;
}

/** What orders and resources say of a bucket. */
export interface S3Place {
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly bucket: string;
  readonly forcePathStyle: boolean;
}

/**
 * The URL that `parseStoreUrl` reads. Holds no credential.
 * @param folder - in the bucket, without slashes at its ends; empty for all of it
 */
export function s3Url({ endpoint, region, bucket, forcePathStyle }: S3Place, folder: string): string {
  const url = new URL(`s3://${bucket}`);
  url.pathname = `/${folder}`;
  url.searchParams.set('region', region);
  url.searchParams.set('path-style', String(forcePathStyle));
  if (endpoint !== undefined) url.searchParams.set('endpoint', endpoint);
  return url.href;
}

/** Checks a service's endpoint: scheme and host, no path, no credentials. Returns it without a trailing slash. */
export function parseEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const fits =
    url !== undefined &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    url.password === '';
  if (!fits) throw invalid('an endpoint is scheme, host and port and nothing more, such as https://s3.example.com:9000');
  return url.origin;
}

function invalid(message: string, cause?: unknown): StorageError {
  return new StorageError('InvalidUrl', `the store's URL is wrong: ${message}`, { retryable: false, cause });
}

// What the documents name is there: commands with their options, fields, annotations, values of the chart, metrics, places in other documents.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { kinds } from '../../src/api/index.ts';
import { objectSchema } from '../../scripts/generate/crd.ts';
import type { StructuralSchema } from '../../scripts/generate/structural-schema.ts';
import { runHere } from '../support/program-here.ts';

const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownIn('docs'), ...markdownIn('docs/decisions')];
/** They say what is done at the time of reading; decisions and the changelog tell of other times as well. */
const CURRENT = DOCUMENTS.filter((path) => !path.startsWith('docs/decisions') && path !== 'CHANGELOG.md');
const ALERTS = 'charts/tenant-backup/alerts.yaml';
const text = (path: string) => readFileSync(path, 'utf8');

function markdownIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name}`);
}

/** What stands in code: blocks, and words between backticks. */
function codeOf(path: string): string[] {
  const blocks = [...text(path).matchAll(/```\w*\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n'));
  const words = [...text(path).replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
  return [...blocks, ...words];
}

interface Named {
  readonly path: string;
  readonly name: string;
}

function named(paths: readonly string[], pattern: RegExp): Named[] {
  return paths.flatMap((path) => codeOf(path).flatMap((code) => [...code.matchAll(pattern)].map(([whole, name = whole]) => ({ path, name }))));
}

describe('the documents', () => {
  it('name commands of the program that are there, with options that these have', async () => {
    const lines = CURRENT.flatMap((path) => codeOf(path).flatMap((code) => [...code.matchAll(/tenant-backup ((?:key|audit) [a-z-]+|[a-z]+)(?=\s|$)([^#|]*(?:\|[^|]*)*)/g)].map(([, command = '', rest = '']) => ({ path, command, options: rest.match(/(?<=[\s[(])--[a-z-]+/g) ?? [] }))));
    const uses = lines.filter(({ command }) => !NO_COMMANDS.has(command));
    expect(uses.length).toBeGreaterThan(30);
    for (const command of new Set(uses.map((use) => use.command))) {
      const { status, stdout } = await runHere([...command.split(' '), '--help']);
      expect({ command, status }).toEqual({ command, status: 0 });
      const known = new Set(stdout.match(/--[a-z-]+/g));
      const unknown = uses.filter((use) => use.command === command).flatMap(({ path, options }) => options.filter((option) => !known.has(option)).map((option) => `${path}: ${command} ${option}`));
      expect(unknown).toEqual([]);
    }
  });

  it('name fields that the kinds have', () => {
    const fields = new Set(kinds.flatMap((kind) => paths(objectSchema(kind), '')));
    const isThere = (name: string) => fields.has(name) || [...fields].some((field) => field.endsWith('{}') && name.startsWith(`${field.slice(0, -2)}.`));
    const used = [...named(DOCUMENTS, /\b(?:spec|status)(?:\.[a-zA-Z0-9]+)+/g), ...[...text(ALERTS).matchAll(/\b(?:spec|status)(?:\.[a-zA-Z0-9]+)+/g)].map(([name]) => ({ path: ALERTS, name }))];
    expect(used.length).toBeGreaterThan(100);
    expect(used.filter(({ name }) => !isThere(name) && name !== 'status.ts')).toEqual([]);
  });

  it('name annotations and labels that the sources know', () => {
    const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => text(join('src', name))).join('');
    const known = new Set([...sources.matchAll(/\$\{GROUP\}\/([a-z-]+)/g)].map(([, name = '']) => name));
    const used = named(DOCUMENTS, /backup\.dupp\.de\/([a-z-]+)(?![a-z0-9])/g);
    expect(used.length).toBeGreaterThan(10);
    expect(used.filter(({ name }) => !known.has(name))).toEqual([]);
  });

  it('name values that the chart has', () => {
    const values = parse(text('charts/tenant-backup/values.yaml')) as Record<string, unknown>;
    const used = named(DOCUMENTS, /(?<![\w./-])([a-z][A-Za-z]+\.[A-Za-z.]+)(?==|$)/g).filter(({ name }) => Object.hasOwn(values, name.split('.')[0] ?? ''));
    expect(used.length).toBeGreaterThan(8);
    expect(used.filter(({ name }) => name.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], values) === undefined)).toEqual([]);
  });

  it('say of each condition where the runbook goes on', () => {
    const sources = ['src/decide', 'src/controller'].flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => text(join(folder, name)))).join('');
    const types = new Set([...sources.matchAll(/\btype(?:: | = )'([A-Z]\w+)'|\bcondition\('([A-Z]\w+)'/g)].map(([, one, other]) => one ?? other ?? '').filter((name) => !OTHER_TYPES.has(name)));
    const rows = [...text('docs/runbook.md').matchAll(/^\| (`[^|]+`) \| [^|]*\b(?:bl|bt|bp|bk|brs)\b[^|]* \|/gm)].flatMap(([, names = '']) => names.match(/\w+/g) ?? []);
    expect([...types].sort()).toEqual([...rows].sort());
  });

  it('point to files and headings that are there', () => {
    const links = DOCUMENTS.flatMap((path) => [...text(path).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(([, file = '', heading]) => ({ path, to: file === '' ? path : join(dirname(path), file), heading })));
    expect(links.length).toBeGreaterThan(20);
    expect(links.filter(({ to, heading }) => !existsSync(to) || (heading !== undefined && !headingsOf(to).includes(heading)))).toEqual([]);
  });
});

/** Words after the program's name that are none of its commands: its image, its folder, a version. */
const NO_COMMANDS = new Set(['charts', 'in', 'by']);

/** Types of events, Secrets and profiles, the status of a condition, and what Kubernetes says of pods. */
const OTHER_TYPES = new Set(['Normal', 'Warning', 'Opaque', 'RuntimeDefault', 'True', 'False', 'PodScheduled', 'DisruptionTarget']);

function paths(schema: StructuralSchema, path: string): string[] {
  return [
    path,
    ...Object.entries(schema.properties ?? {}).flatMap(([name, each]) => paths(each, path === '' ? name : `${path}.${name}`)),
    ...(schema.items ? paths(schema.items, path) : []),
    ...(schema.additionalProperties ? [`${path}{}`] : []),
  ];
}

/** As GitHub makes them of headings. */
function headingsOf(path: string): string[] {
  return [...text(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));
}

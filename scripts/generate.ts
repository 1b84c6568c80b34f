/**
 * Writes what follows from src/api: `crds/`, the chart's copy of it and `docs/reference/`. With `--check` nothing is written, and
 * a difference is an error.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { kinds } from '../src/api/index.ts';
import { chartCrdYaml, crdYaml } from './generate/crd.ts';
import { referencePage } from './generate/reference.ts';

const root = join(import.meta.dirname, '..');
const folders = ['crds', 'charts/tenant-backup/templates/crds', 'docs/reference'] as const;

function wanted(): Map<string, string> {
  const files = new Map<string, string>();
  for (const kind of kinds) {
    files.set(`crds/${kind.plural}.yaml`, crdYaml(kind));
    files.set(`charts/tenant-backup/templates/crds/${kind.plural}.yaml`, chartCrdYaml(kind));
    files.set(`docs/reference/${kind.singular}.md`, referencePage(kind));
  }
  return files;
}

async function presentIn(folder: string): Promise<string[]> {
  const names = await readdir(join(root, folder)).catch(() => []);
  return names.map((name) => `${folder}/${name}`);
}

async function differences(files: ReadonlyMap<string, string>): Promise<string[]> {
  const stale = (await Promise.all(folders.map(presentIn))).flat().filter((file) => !files.has(file));
  const changed: string[] = [];
  for (const [file, content] of files) {
    const present = await readFile(join(root, file), 'utf8').catch(() => undefined);
    if (present !== content) changed.push(file);
  }
  return [...stale, ...changed];
}

const files = wanted();
const different = await differences(files);
if (process.argv.includes('--check')) {
  if (different.length > 0) {
    console.error(`out of date: ${different.join(', ')}\nrun \`make generate\` and commit what it writes`);
    process.exitCode = 1;
  }
} else {
  for (const file of different) {
    const content = files.get(file);
    if (content === undefined) {
      await rm(join(root, file));
      continue;
    }
    await mkdir(join(root, dirname(file)), { recursive: true });
    await writeFile(join(root, file), content);
    console.log(`wrote ${basename(dirname(file))}/${basename(file)}`);
  }
}

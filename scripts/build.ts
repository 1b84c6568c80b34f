/**
 * Bundles the program into `dist/`, which then needs nothing of the checkout but a Node binary:
 *
 *     dist/tenant-backup     what people run: picks a Node
 *     dist/main.mjs          checks that Node's version, in JavaScript that any Node understands, then loads the program
 *     dist/program.mjs …     the program, split so that a command loads only what it needs
 *     dist/worker.mjs        what the pipeline's worker threads run
 *     dist/restore-worker.mjs  the same for restoring
 *     dist/node_modules/     the native modules, which cannot be bundled, for this platform alone
 */
import { hash } from 'node:crypto';
import { chmod, cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { z } from 'zod';

const checkout = join(import.meta.dirname, '..');
const dist = join(checkout, 'dist');
/** Built beside and moved into place, so that a program that starts meanwhile finds either the old files or the new ones. */
const draft = join(checkout, `dist.${process.pid}`);

/** They load machine code by paths of their own. */
const NATIVE = ['koffi', 'sodium-native'] as const;
/** How sodium-native finds its machine code among those for all platforms: a dozen files to load, to find the only one that is there. */
const SEARCH = ['require-addon', 'bare-assert'];
const Manifest = z.object({
  engines: z.looseObject({ node: z.string().optional() }).optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});

await rm(draft, { recursive: true, force: true });
await mkdir(draft);
await bundle();
await copyNativeModules();
await writeLauncher();
await putInPlace();

/** Leaves `dist/` alone when nothing changed: what runs from it would not find chunks that it has yet to load. */
async function putInPlace(): Promise<void> {
  if (existsSync(dist) && (await describe(dist)) === (await describe(draft))) {
    await rm(draft, { recursive: true });
    return;
  }
  const old = `${draft}.old`;
  if (existsSync(dist)) await rename(dist, old);
  await rename(draft, dist);
  await rm(old, { recursive: true, force: true });
}

/** The names and contents of a folder as one text. */
async function describe(folder: string): Promise<string> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const contents = names.map(async (name) => {
    const file = join(folder, name);
    return `${name} ${statSync(file).isFile() ? hash('sha256', await readFile(file)) : ''}`;
  });
  return (await Promise.all(contents)).join('\n');
}

async function bundle(): Promise<void> {
  await build({
    absWorkingDir: checkout,
    entryPoints: [
      { in: 'src/cmd/main.ts', out: 'program' },
      { in: 'src/restic/pipeline/worker.ts', out: 'worker' },
      { in: 'src/restic/restore/worker.ts', out: 'restore-worker' },
    ],
    outdir: draft,
    outExtension: { '.js': '.mjs' },
    // All chunks lie side by side: the pipeline looks for `worker.mjs` beside the chunk that it is in.
    chunkNames: 'chunk-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    // ES modules first: of a CommonJS package that is loaded late, a split bundle has the default export alone, and more code.
    mainFields: ['module', 'main'],
    target: 'node26',
    external: [...NATIVE],
    plugins: [onlyWhatIsUsed('@kubernetes/client-node')],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
    // Some dependencies are CommonJS and ask for `require`.
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
}

/**
 * Leaves out those modules of a package from which nothing is used, though it does not say that loading them does nothing else. The Kubernetes
 * client's models of all resources are 5 MB of code, which cost an operator 15 MiB of memory.
 */
function onlyWhatIsUsed(name: string): Plugin {
  const own = {};
  return {
    name: 'only-what-is-used',
    setup: (bundler) => {
      bundler.onResolve({ filter: /^[@.]/ }, async ({ path, pluginData, importer, ...from }) => {
        if (pluginData === own || !(path === name || importer.includes(`/node_modules/${name}/`))) return undefined;
        return { ...(await bundler.resolve(path, { ...from, importer, pluginData: own })), sideEffects: false };
      });
    },
  };
}

/** Copies the native modules and what they depend on, without machine code for other systems and without sources. */
async function copyNativeModules(): Promise<void> {
  const wanted: string[] = [...NATIVE];
  for (const name of wanted) {
    const from = join(checkout, 'node_modules', name);
    await cp(from, join(draft, 'node_modules', name), { recursive: true, preserveTimestamps: true, filter: (source) => isNeeded(relative(from, source)) });
    const { dependencies = {}, optionalDependencies = {} } = await manifestOf(from);
    for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) {
      // Of the optional ones npm installed those for this platform.
      if (!wanted.includes(each) && !SEARCH.includes(each) && existsSync(join(checkout, 'node_modules', each))) wanted.push(each);
    }
  }
  await writeFile(join(draft, 'node_modules/sodium-native/binding.js'), `module.exports = require('./prebuilds/${process.platform}-${process.arch}/sodium-native.node');\n`);
}

/** Whether a path within a native module's folder is used when the program runs. */
function isNeeded(path: string): boolean {
  const [top = '', below] = path.split('/');
  if (top === 'prebuilds' && below !== undefined) return below === `${process.platform}-${process.arch}`;
  return !['vendor', 'doc', 'extensions', 'CMakeLists.txt'].includes(top) && !/\.(cc|md|d\.ts)$/.test(top);
}

async function writeLauncher(): Promise<void> {
  const { engines } = await manifestOf(checkout);
  const major = /^>=(\d+)$/.exec(engines?.node ?? '')?.[1];
  if (major === undefined) throw new Error('package.json must say `>=MAJOR` under engines.node');
  for (const name of ['main.mjs', 'tenant-backup']) {
    const text = await readFile(join(import.meta.dirname, 'launcher', name), 'utf8');
    await writeFile(join(draft, name), text.replaceAll('__NODE_MAJOR__', major));
  }
  await chmod(join(draft, 'tenant-backup'), 0o755);
}

async function manifestOf(folder: string): Promise<z.infer<typeof Manifest>> {
  return Manifest.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
}

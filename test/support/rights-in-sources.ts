import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';

const FOLDERS = ['src/controller', 'src/kube', 'src/cmd/operator'];
/** Speaks of any resource: what is asked of it is told by those who call it. */
const MACHINERY = new Set(['src/kube/resource-client.ts', 'src/kube/connection.ts', 'src/kube/informer.ts', 'src/kube/pod-exec.ts']);
/** Only the API server's objects have these. */
const WRITES = new Set(['create', 'patch', 'writeStatus', 'writeFinalizers', 'request', 'lines']);
/** Caches and maps have these as well, but take no signal. */
const WITH_SIGNAL = new Set(['get', 'list', 'pages', 'delete', 'set']);
const FUNCTIONS = new Set(['execForOutput', 'execInPod', 'followLog', 'readLog']);
/** Functions of one file that do the same with several resources: the word that tells which counts as part of the call. */
const OF_SEVERAL = new Set(['make', 'remove', 'informer', '#make', '#ensure']);
/** What is not the API server: buckets. */
const OTHERS = /^(store|versions|store\.versions|context\.results)$/;

/**
 * Every call of the operator for which the API server asks whether it may, as `folder/file.ts what.call`, and for a function that serves several
 * resources `folder/file.ts function(which)`.
 */
export function callsInSources(): string[] {
  const calls = new Set<string>();
  for (const folder of FOLDERS) {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))) {
      const path = `${folder}/${name}`;
      if (MACHINERY.has(path)) continue;
      const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
      visit(source, (call) => calls.add(`${path.slice('src/'.length)} ${call}`));
    }
  }
  return [...calls].sort();
}

function visit(node: ts.Node, found: (call: string) => void): void {
  if (ts.isCallExpression(node)) {
    const call = callOf(node);
    if (call !== undefined) found(call);
  }
  if (ts.isNewExpression(node) && node.expression.getText() === 'Informer') {
    const which = /resourceTypes\.\w+/.exec(node.getText());
    if (which !== null) found(`new Informer(${which[0]})`);
  }
  ts.forEachChild(node, (child) => visit(child, found));
}

function callOf({ expression, arguments: args }: ts.CallExpression): string | undefined {
  const name = ts.isPropertyAccessExpression(expression) ? expression.name.text : expression.getText();
  if (OF_SEVERAL.has(name)) {
    const which = args.map((arg) => arg.getText()).find((text) => /^(resourceTypes\.\w+|this\.#\w+|'\w+')$/.test(text));
    return which === undefined ? undefined : `${name}(${which})`;
  }
  if (FUNCTIONS.has(name)) return `${name}()`;
  if (!ts.isPropertyAccessExpression(expression) || OTHERS.test(expression.expression.getText())) return undefined;
  const takesSignal = args.some((arg) => /signal/i.test(arg.getText()));
  if (!WRITES.has(name) && !(WITH_SIGNAL.has(name) && takesSignal)) return undefined;
  return expression.getText().replace(/\s+/g, ' ');
}

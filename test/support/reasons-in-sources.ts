import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';

/** Where conditions, events and failures get their reasons. */
const REASON_FOLDERS = ['src/decide', 'src/controller', 'src/cmd/operator'];
/** Where the codes of errors are listed, as unions named `…ErrorCode`. */
const CODE_FILES = ['src/storage/errors.ts', 'src/keys/errors.ts', 'src/audit/errors.ts', 'src/mover/errors.ts', 'src/restic/contract.ts', 'src/storage/s3/lock-proof.ts'];
const REASON = /^[A-Z][A-Za-z0-9]{3,}$/;
/** Calls whose words are no reasons of ours. */
const OTHER_CALLS = new Set(['has', 'includes', 'newest', 'warning', 'isKubeError', 'findCondition']);
/** Words in calls that are something else: a condition's type or status, a kind, a way to delete. */
const OTHER_WORDS = new Set([
  ...['True', 'False', 'Unknown', 'Backup', 'BackupPolicy', 'BackupLocation', 'BackupTenant', 'Restore', 'Completed', 'Background', 'Foreground', 'Post'],
  ...['StorageReachable', 'StorageWritable', 'KeyUsable', 'ReplicaKeyUsable', 'ReplicaLocked', 'Replicated', 'PodScheduled', 'DisruptionTarget'],
]);

/** Every reason and code that a person can see, each with a place where it is written: `Word` → `file:line`. */
export function reasonsInSources(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const path of REASON_FOLDERS.flatMap(sourcesBelow)) visit(path, (node) => [...asProperty(node), ...asArgument(node)], found);
  for (const path of CODE_FILES) visit(path, asCode, found);
  return found;
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`);
}

function visit(path: string, wordsOf: (node: ts.Node) => string[], found: Map<string, string>): void {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  function walk(node: ts.Node): void {
    for (const word of wordsOf(node)) found.set(word, `${path}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`);
    ts.forEachChild(node, walk);
  }
  walk(source);
}

/** `reason: 'Word'`, `code: is ? 'Word' : 'Other'`, `const reason = …`, and the types of those. */
function asProperty(node: ts.Node): string[] {
  if (ts.isPropertyAssignment(node) && isReasonName(node.name.getText())) return wordsOfExpression(node.initializer);
  if (ts.isVariableDeclaration(node) && isReasonName(node.name.getText()) && node.initializer) return wordsOfExpression(node.initializer);
  if (ts.isPropertySignature(node) && isReasonName(node.name.getText()) && node.type) return wordsOfType(node.type);
  return [];
}

/** `refuse('Word', …)`, `new PortError('Word', …)`. */
function asArgument(node: ts.Node): string[] {
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return [];
  const called = ts.isPropertyAccessExpression(node.expression) ? node.expression.name.text : node.expression.getText();
  if (OTHER_CALLS.has(called)) return [];
  return (node.arguments ?? []).flatMap(wordsOfExpression).filter((word) => !OTHER_WORDS.has(word));
}

function asCode(node: ts.Node): string[] {
  return ts.isTypeAliasDeclaration(node) && node.name.text.endsWith('ErrorCode') ? wordsOfType(node.type) : [];
}

function isReasonName(name: string): boolean {
  return name === 'reason' || name === 'code';
}

function wordsOfExpression(expression: ts.Expression): string[] {
  if (ts.isStringLiteral(expression)) return REASON.test(expression.text) ? [expression.text] : [];
  if (ts.isConditionalExpression(expression)) return [expression.whenTrue, expression.whenFalse].flatMap(wordsOfExpression);
  if (ts.isBinaryExpression(expression) && expression.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) return wordsOfExpression(expression.right);
  return ts.isParenthesizedExpression(expression) || ts.isAsExpression(expression) ? wordsOfExpression(expression.expression) : [];
}

function wordsOfType(type: ts.TypeNode): string[] {
  if (ts.isUnionTypeNode(type)) return type.types.flatMap(wordsOfType);
  return ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal) && REASON.test(type.literal.text) ? [type.literal.text] : [];
}

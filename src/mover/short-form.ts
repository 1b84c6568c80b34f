import type { MoverResult } from '../api/index.ts';

/** The kubelet keeps 4 KiB of a termination message; half of it is plenty and leaves room for other containers' ones. */
const SHORT_FORM_BYTES = 2048;

/** No JSON, so whoever wants the result reads the object in the bucket. */
const IN_THE_BUCKET = 'The result does not fit here. It is in the bucket.';

/**
 * The result in at most 2 KiB of JSON: what does not fit is cut, lists first, then words. The object in the bucket has
 * everything.
 * @param isInBucket - whether it has. Then what a verification found damaged is never cut: who reads two names thinks that there are two.
 */
export function shortForm(result: MoverResult, isInBucket = false): string {
  const { text, short } = fitting(result);
  return isInBucket && losesFindings(result, short) ? IN_THE_BUCKET : text;
}

function fitting(result: MoverResult): { readonly text: string; readonly short: MoverResult } {
  for (const cut of CUTS) {
    const short = cutTo(result, cut);
    const text = JSON.stringify(short);
    if (Buffer.byteLength(text) <= SHORT_FORM_BYTES) return { text, short };
  }
  const short = cutTo(result, LAST_CUT);
  return { text: JSON.stringify(short), short };
}

function losesFindings({ verify }: MoverResult, { verify: short }: MoverResult): boolean {
  if (verify === undefined || short === undefined) return false;
  return short.affected.length < verify.affected.length || short.damagedPacks.length < verify.damagedPacks.length;
}

/** How much stays: characters of the failure's message, warnings and characters of each, ids of removed snapshots … */
interface Cut {
  readonly message: number;
  readonly warnings: number;
  readonly warning: number;
  readonly removed: number;
  /** Damaged packs, affected snapshots, and paths of each. */
  readonly packs: number;
  readonly snapshots: number;
  readonly paths: number;
}

const CUTS: readonly Cut[] = [
  { message: 900, warnings: 5, warning: 250, removed: 10, packs: 3, snapshots: 2, paths: 2 },
  { message: 600, warnings: 5, warning: 100, removed: 5, packs: 3, snapshots: 2, paths: 1 },
  { message: 400, warnings: 2, warning: 100, removed: 0, packs: 1, snapshots: 1, paths: 0 },
];
/** Whatever the script of the words, three bytes a character at most. */
const LAST_CUT: Cut = { message: 200, warnings: 0, warning: 0, removed: 0, packs: 0, snapshots: 0, paths: 0 };

function cutTo(result: MoverResult, cut: Cut): MoverResult {
  const { failure, forget, verify } = result;
  return {
    ...result,
    ...(failure === undefined ? {} : { failure: { ...failure, message: shorten(failure.message, cut.message) } }),
    ...(forget === undefined ? {} : { forget: { ...forget, removed: forget.removed.slice(0, cut.removed) } }),
    ...(verify === undefined ? {} : { verify: cutVerify(verify, cut) }),
    warnings: result.warnings.slice(0, cut.warnings).map((warning) => shorten(warning, cut.warning)),
  };
}

function cutVerify(verify: NonNullable<MoverResult['verify']>, cut: Cut): NonNullable<MoverResult['verify']> {
  const affected = verify.affected.slice(0, cut.snapshots).map((each) => ({ ...each, paths: each.paths.slice(0, cut.paths).map((path) => shorten(path, 100)) }));
  return { ...verify, damagedPacks: verify.damagedPacks.slice(0, cut.packs), affected };
}

/** A path's end tells more than its beginning, and so does the message behind it: the middle goes. */
function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const head = Math.floor((length - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
}

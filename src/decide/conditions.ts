import { MOST_CONDITION_MESSAGE, type Condition, type ConditionInput } from '../api/index.ts';
import { shortened } from './display.ts';

/**
 * The conditions of a status: `next` laid over `previous` by type. `lastTransitionTime` moves only when `status` does, so that a
 * status decided twice is the same twice. Types that `next` does not name stay as they are.
 * @param now RFC 3339
 */
export function mergeConditions(
  previous: readonly Condition[] | undefined,
  next: readonly ConditionInput[],
  generation: number,
  now: string,
): Condition[] {
  const merged = new Map((previous ?? []).map((condition) => [condition.type, condition]));
  for (const { type, status, reason, message } of next) {
    const before = merged.get(type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
    // Drivers and webhooks say as much as they like; what is too long is never written.
    merged.set(type, { type, status, reason, message: shortened(message, MOST_CONDITION_MESSAGE), lastTransitionTime, observedGeneration: generation });
  }
  return [...merged.values()];
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

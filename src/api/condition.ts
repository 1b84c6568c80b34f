import * as z from 'zod';
import { listMap } from './kind.ts';

/** Characters of a condition's message, as metav1.Condition has it. */
export const MOST_CONDITION_MESSAGE = 32_768;

export const Condition = z
  .object({
    type: z.string().min(1).max(316).meta({ description: 'What the condition is about.' }),
    status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
    reason: z.string().min(1).max(1024).meta({ description: 'Why, as one CamelCase word for machines.' }),
    message: z.string().max(MOST_CONDITION_MESSAGE).meta({ description: 'Why, in words: what happened, to what, and what to do next.' }),
    lastTransitionTime: z.string().meta({ format: 'date-time', description: 'When `status` last changed.' }),
    observedGeneration: z.int().min(0).optional().meta({ description: 'The `metadata.generation` that this was decided for.' }),
  })
  .meta({ description: 'One aspect of the state, as in metav1.Condition.' });
export type Condition = z.infer<typeof Condition>;

export const Conditions = listMap(
  z.array(Condition).max(32).meta({ description: 'The state in aspects, for machines; phases are for people.' }),
  'type',
);

/** A condition before it is merged into a status: `lastTransitionTime` is decided by comparison with what stands there. */
export interface ConditionInput {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

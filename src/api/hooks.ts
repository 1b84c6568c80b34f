import * as z from 'zod';
import { Duration } from './fields.ts';
import { listMap } from './kind.ts';

/** Where a command runs. No rule of CEL: a list of these in a list would cost more than the API server grants, and what is no label matches nothing. */
const target = {
  podSelector: z
    .record(z.string(), z.string().max(63))
    .meta({ maxProperties: 16 })
    .optional()
    .meta({ description: 'Labels of the pods that it may run in. Left out: the pods that mount one of the volumes of the backup.' }),
  container: z
    .string()
    .min(1)
    .max(63)
    .optional()
    .meta({ description: "Container to run it in. Left out: the pod's default container (annotation `kubectl.kubernetes.io/default-container`), else its first." }),
  command: z
    .array(z.string().max(16_384))
    .min(1)
    .max(64)
    .meta({ description: 'The command and its arguments; no shell unless it is named: `["sh", "-c", "…"]`. Put no secret into it: whoever may read the policy reads it.' }),
};

const onError = z.enum(['Fail', 'Continue']).default('Fail');

const hook = z.object({
  name: z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
    .meta({ description: 'Names it in status and events.' }),
  ...target,
  allPods: z.boolean().default(false).meta({ description: 'Run it in every pod that matches, at once. Else in one that is ready: the first by name.' }),
  timeout: Duration.default('1m').meta({
    description: 'How long it may take, and how long a ready pod is waited for. A post hook that fails is run again until then. A command that is cut off may go on inside its container.',
  }),
  onError: onError.meta({ description: '`Fail`: the attempt at a backup fails with it. `Continue`: the backup goes on, and its condition `Quiesced` is False.' }),
});
export type Hook = z.infer<typeof hook>;

export const Hooks = z
  .object({
    pre: listMap(
      z.array(hook).max(8).meta({ description: 'Run in this order before the volumes are cut or read. The first that fails with `onError: Fail` skips the rest.' }),
      'name',
    ).optional(),
    post: listMap(
      z.array(hook).max(8).meta({
        description: 'Run in this order as soon as snapshots are cut, with copy method `Direct` once the volumes are read; and also when a pre hook, the snapshot or the transfer failed, the backup was cancelled or deleted, or the operator ended in between.',
      }),
      'name',
    ).optional(),
  })
  .meta({
    description: "Commands in the workload's pods that quiesce it. At least once: after a crash of the operator a command may run again, so it must do no harm when it does.",
  });

export const Stream = z.object({
  name: z
    .string()
    .max(128)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
    .meta({ description: 'Its file in the backup is `/streams/<name>`.' }),
  ...target,
  timeout: Duration.default('6h').meta({ description: 'How long it may take.' }),
  onError: onError.meta({ description: '`Fail`: without it there is no backup. `Continue`: the backup is stored without it, and is not complete.' }),
});
export type Stream = z.infer<typeof Stream>;

/** What a status keeps of a hook: characters of its message, and names of its pods. */
export const MOST_HOOK_MESSAGE = 2048;
export const MOST_HOOK_PODS = 100;

export const HookRun = z.object({
  name: z.string().meta({ description: 'Name of the hook in the policy.' }),
  stage: z.enum(['Pre', 'Post']).meta({ description: 'Before or after the volumes are cut or read.' }),
  state: z
    .enum(['Pending', 'Waiting', 'Running', 'Succeeded', 'Failed', 'Skipped'])
    .meta({ description: '`Waiting`: for a ready pod. `Skipped`: there was no pod to quiesce, or a hook before it failed.' }),
  pods: z.array(z.string()).max(MOST_HOOK_PODS).optional().meta({ description: 'The pods that it ran in.' }),
  startedAt: z.string().optional().meta({ format: 'date-time', description: 'When it first began.' }),
  finishedAt: z.string().optional().meta({ format: 'date-time', description: 'When it ended.' }),
  message: z.string().max(MOST_HOOK_MESSAGE).optional().meta({ description: 'Why it failed or was skipped, with the last of what it printed.' }),
  onError: z.enum(['Fail', 'Continue']).meta({ description: 'What its failure means, as the policy had it.' }),
  plan: hook.omit({ name: true, onError: true }).optional().meta({ description: 'What is to run, as the policy had it when the attempt began. Goes when it has ended.' }),
});
export type HookRun = z.infer<typeof HookRun>;

import * as z from 'zod';

const time = (description: string) => z.string().optional().meta({ format: 'date-time', description });
const count = (description: string) => z.int().min(0).optional().meta({ description });

/** One run of copying everything into the second data center, the current or the last one. */
export const ReplicationStatus = z
  .object({
    phase: z.enum(['Waiting', 'Running', 'Completed', 'Failed']).meta({ description: 'For people: how far the current or last run is. Programs read the condition `Replicated`.' }),
    since: time('Since when the schedule is in force; earlier times are not made up for.'),
    schedule: z.string().optional().meta({ description: 'The schedule that is in force, with its time zone.' }),
    nextRun: time('When the next run begins.'),
    scheduledAt: time('The time that the current or last run was due.'),
    requested: z.string().max(256).optional().meta({ description: 'The value of the annotation `backup.dupp.de/replicate` that was last obeyed.' }),
    stage: z.enum(['Copying', 'Collecting']).optional().meta({ description: '`Collecting`: what no backup needs any more is removed once its locks have ended.' }),
    shards: z.int().min(1).optional().meta({ description: 'Workers of the run.' }),
    runId: z.string().optional().meta({ description: 'Names its results in the bucket: `replication/<runId>-<shard>.json`.' }),
    copyRunId: z.string().optional().meta({ description: 'The last run that copied: what each tenant has in the second data center is in its results.' }),
    copyShards: z.int().min(1).optional().meta({ description: 'Workers of that run.' }),
    windowEndsAt: time('When the run ends at the latest.'),
    attempt: z.int().min(1).optional().meta({ description: 'Number of the current or last attempt, from 1.' }),
    jobName: z.string().optional().meta({ description: "The current attempt's Job." }),
    nextAttemptAt: time('When the next attempt begins.'),
    startedAt: time('When the run began.'),
    attemptedAt: time('When the current or last attempt began.'),
    completedAt: time('When it ended.'),
    duration: z.string().optional().meta({ description: 'How long it took, for people.' }),
    message: z.string().optional().meta({ description: 'How it stands, in words.' }),
    tenants: count('Tenants that there were to copy.'),
    tenantsDone: count('Tenants of which everything is there.'),
    tenantsFailed: count('Tenants that could not be copied.'),
    tenantsWaiting: count('Tenants that are left for the next run.'),
    tenantsDiverged: count('Tenants of which the first data center has lost something.'),
    objects: count('Objects that the current or last attempt has copied.'),
    bytes: count('Bytes of those.'),
    extended: count('Locks that were extended.'),
    collected: count('Versions that were removed, for nothing needs them and their locks have ended.'),
    problems: z.array(z.string()).max(20).optional().meta({ description: 'The first of what went wrong, by tenant.' }),
    diverged: z.array(z.string()).max(20).optional().meta({ description: 'The first of what the second data center has and the first has lost, by tenant. None of that loss is copied.' }),
  })
  .meta({ description: 'The current or last copy into the second data center.' });
export type ReplicationStatus = z.infer<typeof ReplicationStatus>;

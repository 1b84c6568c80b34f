import * as z from 'zod';
import { Duration, Labels, LabelValue, ObjectName, QualifiedName } from './fields.ts';
import { withRules } from './kind.ts';

const ResourceList = withRules(
  z.record(z.string(), z.string().max(32)).meta({ description: 'Quantities by resource name, e.g. `memory: 512Mi`.', maxProperties: 16 }),
  { rule: 'self.all(name, isQuantity(self[name]) && !self[name].startsWith("-"))', message: 'every value must be a quantity such as `500m` or `512Mi`' },
);

const Resources = withRules(
  z.object({ requests: ResourceList.optional(), limits: ResourceList.optional() }),
  {
    // What is no quantity is refused by the rule on the list itself.
    rule: '!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || !isQuantity(self.requests[name]) || !isQuantity(self.limits[name]) || quantity(self.requests[name]).compareTo(quantity(self.limits[name])) <= 0)',
    message: 'a request must not be above its limit',
  },
);

const Toleration = withRules(
  z.object({
    key: QualifiedName.optional().meta({ description: 'Key of the taint. Leave out, with `operator: Exists`, for every key.' }),
    operator: z.enum(['Exists', 'Equal']).optional().meta({ description: '`Equal`, where it is left out: the taint has `value`. `Exists`: whatever value it has.' }),
    value: LabelValue.optional().meta({ description: 'Value of the taint.' }),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().meta({ description: 'Effect of the taint. Leave out for all of them.' }),
    tolerationSeconds: z.int().min(0).optional().meta({ description: 'With `NoExecute`: how many seconds a mover may stay after the taint came. Leave out for ever.' }),
  }),
  { rule: "has(self.key) || (has(self.operator) && self.operator == 'Exists')", message: 'without a key the operator must be Exists' },
  { rule: "!has(self.value) || !has(self.operator) || self.operator != 'Exists'", message: 'with operator: Exists leave value out' },
  { rule: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')", message: 'tolerationSeconds goes with effect: NoExecute' },
);

const PullSecret = z.object({ name: ObjectName.meta({ description: 'Name of the Secret, of type `kubernetes.io/dockerconfigjson`.' }) });

/** How the pods of movers run. */
export const Mover = z.object({
  image: z.string().min(1).max(1024).optional().meta({ description: "Image of the movers. Leave out for the operator's own." }),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional().meta({ description: 'When the kubelet pulls the image.' }),
  resources: Resources
    .prefault({ requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } })
    .meta({ description: 'Resources of a mover.' }),
  nodeSelector: Labels.optional().meta({ description: 'Labels of nodes that movers may run on.' }),
  tolerations: z.array(Toleration).min(1).max(32).optional().meta({
    description: "Taints of nodes that movers may run on all the same. A mover that reads a live volume runs on the node that holds it: give what the customers' pods tolerate.",
  }),
  imagePullSecrets: z.array(PullSecret).min(1).max(8).optional().meta({
    description:
      "Secrets to pull the image with, in the namespace that a mover runs in: the customer's, or the movers'. What is missing there is passed over. Left out: those of the namespace's ServiceAccount `default`, but none where a backup has streams.",
  }),
  priorityClassName: ObjectName.optional().meta({ description: "Priority class of the movers' pods." }),
  stalledAfter: withRules(Duration, {
    // CEL's own durations know no days.
    rule: "self.contains('d') || duration(self) >= duration('3m')",
    message: 'must be 3m or more: a mover that works says so each half minute, and a node may be busy',
  })
    .default('30m')
    .meta({
      description:
        'A mover that reads, stores and writes nothing for so long hangs (a volume or a storage service that does not answer): it is ended, the condition says `Stalled`, and the work is tried again as after any failure. For movers that start from now on.',
    }),
});

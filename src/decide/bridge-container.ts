/**
 * The container beside a mover that reads streams. Of the two only this one has a token of the API server, and only the other has keys,
 * credentials of the bucket and the volumes (record 19).
 */
import { BRIDGE_DIRECTORY, BRIDGE_FILE, BRIDGE_SOCKET_DIRECTORY } from '../api/index.ts';
import type { MoverJobInput } from './mover-job.ts';

const NOBODY = 65_534;
/** The kubelet renews it well before; the API server ends it with the pod. */
const TOKEN_SECONDS = 3600;

export const streamsMount = { name: 'streams', mountPath: BRIDGE_SOCKET_DIRECTORY } as const;

export function bridgeContainer({ location: { mover }, defaultImage }: Pick<MoverJobInput, 'location' | 'defaultImage'>) {
  return {
    name: 'stream-bridge',
    image: mover.image ?? defaultImage,
    ...(mover.imagePullPolicy === undefined ? {} : { imagePullPolicy: mover.imagePullPolicy }),
    args: ['stream-bridge'],
    // Starts before the mover, and is stopped when that has ended.
    restartPolicy: 'Always',
    resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '256Mi' } },
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, runAsUser: NOBODY, runAsGroup: NOBODY, capabilities: { drop: ['ALL'] } },
    volumeMounts: [
      { name: 'bridge', mountPath: BRIDGE_DIRECTORY, readOnly: true },
      { name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true },
      streamsMount,
    ],
  };
}

export function bridgeVolumes(secretName: string) {
  return [
    // That one key of the Secret: the others are for the mover.
    { name: 'bridge', secret: { secretName, defaultMode: 0o444, items: [{ key: BRIDGE_FILE, path: BRIDGE_FILE }] } },
    { name: 'streams', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    {
      name: 'token',
      projected: {
        defaultMode: 0o444,
        sources: [
          { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        ],
      },
    },
  ];
}

// The chart on the cluster, installed or brought up to date with Helm.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from './binaries.ts';
import { CHECKOUT, paths } from './layout.ts';
import { run } from './run.ts';

export const NAMESPACE = 'tenant-backup-system';
const RELEASE = 'tenant-backup';
const CHART = join(CHECKOUT, 'charts', 'tenant-backup');

/**
 * Installs the chart with an image that is on the node already, and waits until its pods are ready.
 * @param values - as `--set` takes them
 */
export async function installChart(image: string, kubeconfig: string = paths.kubeconfig, values: readonly string[] = []): Promise<void> {
  if (!existsSync(join(CHART, 'Chart.yaml'))) return;
  const colon = image.lastIndexOf(':');
  await run(await binary('helm'), [
    'upgrade',
    RELEASE,
    CHART,
    '--install',
    '--create-namespace',
    `--namespace=${NAMESPACE}`,
    `--kubeconfig=${kubeconfig}`,
    `--set=image.repository=${image.slice(0, colon)}`,
    `--set-string=image.tag=${image.slice(colon + 1)}`,
    ...values.map((value) => `--set=${value}`),
    '--wait',
    '--timeout=2m',
  ]);
}

/** Removes the chart, but not the CRDs, which it keeps. */
export async function uninstallChart(kubeconfig: string): Promise<void> {
  await run(await binary('helm'), ['uninstall', RELEASE, `--namespace=${NAMESPACE}`, `--kubeconfig=${kubeconfig}`, '--ignore-not-found', '--wait', '--timeout=1m']);
}

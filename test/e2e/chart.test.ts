// The chart goes and comes again: what people applied, and what is stored, stays.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { kinds } from '../../src/api/index.ts';
import { installChart, uninstallChart } from '../ground/chart.ts';
import { apply, environment, getObject, kubectl, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { backupObject, locationObjects, makeCustomer, removeCustomer } from '../support/customer.ts';
import { CLUSTER } from '../ground/layout.ts';

const NAMESPACE = 'e2e-chart';
const DIRECTORY = join(CLUSTER, 'e2e', NAMESPACE);
const COLUMN = '{.spec.versions[0].additionalPrinterColumns[0].name}';
const CRD = 'backups.backup.dupp.de';
const kubeconfig = (): string => environment()['KUBECONFIG'] ?? '';
const install = (): Promise<void> => installChart(environment()['IMAGE'] ?? '', kubeconfig());

beforeAll(async () => {
  await apply(locationObjects(NAMESPACE));
  await makeCustomer({ namespace: NAMESPACE, location: NAMESPACE, volumes: { data: DIRECTORY } });
  await waitForCondition('bp', 'daily', NAMESPACE, { type: 'Ready', status: 'True' });
  await apply([backupObject(NAMESPACE, 'stays', 'daily')]);
  await waitForPhase('bk', 'stays', NAMESPACE, ['Stored']);
});

afterAll(async () => {
  await install();
  await removeCustomer(NAMESPACE, ['data']);
  rmSync(DIRECTORY, { recursive: true, force: true });
  await kubectl(['delete', 'bl', NAMESPACE, '--ignore-not-found', '--timeout=30s']);
}, 180_000);

describe('the chart', () => {
  it('takes neither kinds nor objects with it when it is uninstalled', async () => {
    await uninstallChart(kubeconfig());

    expect(await kubectl(['get', 'deployments', '-n', 'tenant-backup-system', '-o', 'name'])).toBe('');
    for (const { plural } of kinds) await expect(kubectl(['get', 'crd', `${plural}.backup.dupp.de`])).resolves.not.toBe('');
    expect((await getObject<StatusLike>('bk', 'stays', NAMESPACE))?.status?.phase).toBe('Stored');
    expect(await kubectl(['get', 'validatingadmissionpolicies', '-o', 'name'])).not.toContain('tenant-backup');
  }, 120_000);

  it('brings kinds up to date when it is installed again, and goes on where it was', async () => {
    await kubectl(['patch', 'crd', CRD, '--type=json', '-p', '[{"op":"replace","path":"/spec/versions/0/additionalPrinterColumns/0/name","value":"Old"}]']);
    expect(await kubectl(['get', 'crd', CRD, '-o', `jsonpath=${COLUMN}`])).toBe('Old');

    await install();

    expect(await kubectl(['get', 'crd', CRD, '-o', `jsonpath=${COLUMN}`])).toBe('Phase');
    await apply([backupObject(NAMESPACE, 'after', 'daily')]);
    await waitForPhase('bk', 'after', NAMESPACE, ['Stored'], 90);
  }, 180_000);
});

// The alerts of the chart, as Prometheus itself reads and evaluates them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { pino } from 'pino';
import { operatorMetrics } from '../../src/cmd/operator/metrics.ts';
import { binary, KUBERNETES_VERSION } from '../ground/binaries.ts';
import { run } from '../ground/run.ts';

const RULES = 'charts/tenant-backup/alerts.yaml';

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string; readonly annotations: object }[] }[];
}

const rules = (parse(readFileSync(RULES, 'utf8')) as Rules).groups.flatMap((group) => group.rules);
let promtool: string;
let folder: string;

beforeAll(async () => {
  promtool = await binary('promtool');
  folder = await mkdtemp(join(tmpdir(), 'tenant-backup-alerts-'));
}, 900_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the alerts of the chart', () => {
  it('are rules as Prometheus wants them', async () => {
    await expect(run(promtool, ['check', 'rules', RULES])).resolves.toContain(`SUCCESS: ${rules.length} rules found`);
  });

  it('fire when they should, and not before', async () => {
    await expect(run(promtool, ['test', 'rules', 'test/integration/alerts/rules.test.yaml'])).resolves.toContain('SUCCESS');
  });

  it('are each tested, and each in the runbook', () => {
    const tests = readFileSync('test/integration/alerts/rules.test.yaml', 'utf8');
    const runbook = readFileSync('docs/runbook.md', 'utf8');
    for (const { alert } of rules) expect([alert, tests.includes(alert), runbook.includes(`\`${alert}\``)]).toEqual([alert, true, true]);
  });

  it('ask for metrics that the operator has', () => {
    const metrics = operatorMetrics(pino({ enabled: false }));
    const none = { list: () => [] };
    metrics.watch({ backups: none, restores: none, policies: none, locations: none });
    const known = new Set([...metrics.registry.getMetricsAsArray().map(({ name }) => name), 'tenant_backup_queue_depth']);
    const asked = rules.flatMap(({ expr }) => expr.match(/tenant_backup_\w+/g) ?? []);
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
  });

  it('come with the chart as they are', async () => {
    const text = await run(await binary('helm'), ['template', 'tenant-backup', 'charts/tenant-backup', `--kube-version=${KUBERNETES_VERSION}`, '--set=prometheusRule.enabled=true', '--show-only=templates/alerts.yaml']);
    const { spec } = parse(text) as { spec: Rules };
    expect(spec).toEqual(parse(readFileSync(RULES, 'utf8')));
    const file = join(folder, 'rules.yaml');
    await writeFile(file, JSON.stringify(spec));
    await expect(run(promtool, ['check', 'rules', file])).resolves.toContain('SUCCESS');
  });
});

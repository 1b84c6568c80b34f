import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { BackupLocation, BackupPolicy } from '../../src/api/index.ts';
import { operatorMetrics } from '../../src/cmd/operator/metrics.ts';

const automatic = { schedule: '0 2 * * *', timeZone: 'UTC', startingDeadline: '12h', suspend: false, keep: 7 };
const conditions = [{ type: 'Protected', status: 'True' }];

function policy(name: string, spec: object, status?: object): BackupPolicy {
  return { metadata: { name, namespace: 'shop' }, spec, status } as unknown as BackupPolicy;
}

async function scrape(policies: BackupPolicy[]): Promise<string[]> {
  const metrics = operatorMetrics(pino({ enabled: false }));
  metrics.watch({ backups: { list: () => [] }, restores: { list: () => [] }, policies: { list: () => policies }, locations: { list: () => [] } });
  return (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('tenant_backup_policy_'));
}

describe('metrics of policies', () => {
  it('tell how fresh the backups are and when the next is due', async () => {
    const status = { lastSuccess: '2026-03-20T02:00:10Z', lastVerified: '2026-03-19T02:00:00Z', conditions, automatic: { kept: 7, display: '7/7', nextRun: '2026-03-21T02:00:00Z', lastMissed: '2026-03-01T02:00:00Z' } };
    expect(await scrape([policy('nightly', { automatic }, status)])).toEqual([
      'tenant_backup_policy_last_success_timestamp_seconds{namespace="shop",policy="nightly"} 1773972010',
      'tenant_backup_policy_protected{namespace="shop",policy="nightly"} 1',
      'tenant_backup_policy_last_verified_timestamp_seconds{namespace="shop",policy="nightly"} 1773885600',
      'tenant_backup_policy_verified{namespace="shop",policy="nightly"} -1',
      'tenant_backup_policy_next_run_timestamp_seconds{namespace="shop",policy="nightly"} 1774058400',
      'tenant_backup_policy_last_missed_timestamp_seconds{namespace="shop",policy="nightly"} 1772330400',
      'tenant_backup_policy_automatic_backups{namespace="shop",policy="nightly"} 7',
    ]);
  });

  it('name a policy that was never backed up, and have no schedule for one without', async () => {
    expect(await scrape([policy('manual', {})])).toEqual([
      'tenant_backup_policy_last_success_timestamp_seconds{namespace="shop",policy="manual"} 0',
      'tenant_backup_policy_protected{namespace="shop",policy="manual"} 0',
      'tenant_backup_policy_last_verified_timestamp_seconds{namespace="shop",policy="manual"} 0',
      'tenant_backup_policy_verified{namespace="shop",policy="manual"} -1',
    ]);
  });
});

describe('metrics of the second data center', () => {
  it('tell how far a location is, and are silent for one that has none', async () => {
    const metrics = operatorMetrics(pino({ enabled: false }));
    const is = [{ type: 'ReplicaLocked', status: 'True' }, { type: 'ReplicaDiverged', status: 'False' }, { type: 'Replicated', status: 'False' }];
    const locations = [
      { metadata: { name: 'main' }, status: { replication: { phase: 'Running' }, replicatedUpTo: '2026-03-20T02:00:10Z', conditions: is } },
      { metadata: { name: 'new' }, status: { replication: { phase: 'Waiting' } } },
      { metadata: { name: 'alone' }, status: {} },
    ] as unknown as BackupLocation[];
    metrics.watch({ backups: { list: () => [] }, restores: { list: () => [] }, policies: { list: () => [] }, locations: { list: () => locations } });
    expect((await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('tenant_backup_location_'))).toEqual([
      'tenant_backup_location_replicated_timestamp_seconds{location="main"} 1773972010',
      'tenant_backup_location_replicated_timestamp_seconds{location="new"} 0',
      'tenant_backup_location_replicated{location="main"} 0',
      'tenant_backup_location_replicated{location="new"} -1',
      'tenant_backup_location_replica_locked{location="main"} 1',
      'tenant_backup_location_replica_locked{location="new"} -1',
      'tenant_backup_location_replica_diverged{location="main"} 0',
      'tenant_backup_location_replica_diverged{location="new"} -1',
      'tenant_backup_location_replication_running{location="main"} 1',
      'tenant_backup_location_replication_running{location="new"} 0',
    ]);
  });

  it('tell of a policy only where its location has one', async () => {
    const status = { replicatedUpTo: '2026-03-20T02:00:10Z', conditions: [{ type: 'Replicated', status: 'False' }] };
    expect((await scrape([policy('a', {}, status)])).filter((line) => line.includes('replicated'))).toEqual([
      'tenant_backup_policy_replicated_timestamp_seconds{namespace="shop",policy="a"} 1773972010',
      'tenant_backup_policy_replicated{namespace="shop",policy="a"} 0',
    ]);
  });
});

describe('metrics of requests', () => {
  it('are counted by resource, not by the names of objects', async () => {
    const metrics = operatorMetrics(pino({ enabled: false }));
    const paths = ['/api/v1/namespaces/shop/pods/p/log', '/api/v1/namespaces/shop', '/api/v1/namespaces', '/apis/batch/v1/jobs', '/apis/backup.dupp.de/v1alpha1/namespaces/shop/backups/b/status', '/apis/backup.dupp.de/v1alpha1/backuptenants/t/status', '/apis/apps/v1'];
    for (const path of paths) metrics.requests('GET', path, 200);
    const counted = (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('tenant_backup_api_requests_total{'));
    expect(counted.map((line) => /resource="([^"]*)"/.exec(line)?.[1])).toEqual(['pods/log', 'namespaces', 'jobs', 'backups/status', 'backuptenants/status', '']);
  });
});

import { paths } from './layout.ts';
import { run } from './run.ts';
export async function importImage(archive: string): Promise<void> {
  await run('ctr', ['--address', paths.containerdSocket, '--namespace', 'k8s.io', 'images', 'import', archive]);
}
export async function programImage(): Promise<{ reference: string; archive: string }> {
  const { workloadArchive } = await import('./base-images.ts');
  return { reference: 'localhost/tenant-backup-workload:1', archive: await workloadArchive() };
}

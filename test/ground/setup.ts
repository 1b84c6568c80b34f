// `make setup`, after npm: whatever else the tests and the ground need of the machine. As root on Debian it installs what is
// missing; elsewhere each missing thing is one line with the command that installs it.
import { existsSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { binary } from './binaries.ts';
import { motoServer } from './kms.ts';
import { describeMissing, missingPrerequisites, type Prerequisite } from './prerequisites.ts';
import { run } from './run.ts';

async function setUp(): Promise<void> {
  const canInstall = process.getuid?.() === 0 && existsSync('/etc/debian_version');
  const missing = missingPrerequisites();
  if (missing.length > 0 && canInstall) await install(missing);
  const still = missingPrerequisites();
  if (still.length > 0) throw new Error(describeMissing(still));
  // What tests start within their time limits must have been built before.
  await Promise.all([motoServer(), binary('minio').then(() => binary('minio-admin')).then(() => binary('versitygw')).then(() => binary('toxiproxy'))]);
}

async function install(missing: readonly Prerequisite[]): Promise<void> {
  const packages = [...new Set(missing.map(({ debianPackage }) => debianPackage))];
  console.error(`installing ${packages.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await withoutStartingServices(async () => {
    const install = ['install', '--yes', '--no-install-recommends', ...packages];
    // The list of packages may be old or missing; fetching it takes longer than most installations.
    await run('apt-get', install, { env }).catch(async () => {
      await run('apt-get', ['update'], { env });
      await run('apt-get', install, { env });
    });
  });
}

/** Debian starts what it installs unless this file forbids it; the ground starts its own, in places of its own. */
async function withoutStartingServices(work: () => Promise<void>): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return work(); // Somebody decided that already.
  await writeFile(policy, '#!/bin/sh\nexit 101\n');
  await chmod(policy, 0o755);
  try {
    await work();
  } finally {
    await rm(policy);
  }
}

try {
  await setUp();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

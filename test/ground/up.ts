// `make cluster-up`: Kubernetes with CSI volumes, two S3 services and two KMS, and our image and chart on them. An existing cluster is used
// when KUBECONFIG and USE_EXISTING_CLUSTER=1 say so; else a node of our own is started under `.cluster/`.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { pauseArchive, workloadArchive } from './base-images.ts';
import { binary, kubernetesPrograms } from './binaries.ts';
import { installChart } from './chart.ts';
import { makeControlGroups } from './cgroups.ts';
import { csiParts } from './csi/parts.ts';
import { startCsi } from './csi/start.ts';
import { startApiServer, startControllers, type Programs } from './control-plane.ts';
import { logTail } from './daemons.ts';
import { startDataCenters } from './data-centers.ts';
import { takeDown } from './down.ts';
import { readGroundEnvironment, writeGroundEnvironment, type GroundEnvironment } from './env-file.ts';
import { useExistingCluster } from './existing-cluster.ts';
import { importImage, programImage } from './images.ts';
import { API_SERVER, CLUSTER, EXISTING_RECORD, GROUND_ADDRESS, HOST_ADDRESS, NODE_NAME, WORKLOAD_IMAGE, paths } from './layout.ts';
import { NODE_NAMESPACES, PRIVATE_PLACES, furnishNamespaces, startNamespaces, type Init } from './namespaces.ts';
import { startContainerd, startKubelet, startProxy } from './node.ts';
import { makeCertificates, writeKubeconfig } from './pki.ts';
import { demandPrerequisites } from './prerequisites.ts';
import { isAlive, readRecord, writeRecord, type Record } from './record.ts';
import { run, until } from './run.ts';

/** Kernel settings that the kubelet changes for the whole machine; cluster-down puts them back. */
const SYSCTLS = ['/proc/sys/vm/overcommit_memory', '/proc/sys/vm/panic_on_oom', '/proc/sys/kernel/panic', '/proc/sys/kernel/panic_on_oops', '/proc/sys/kernel/keys/root_maxkeys', '/proc/sys/kernel/keys/root_maxbytes'];

const started = Date.now();
const say = (what: string): void => console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${what}`);

/**
 * Brings everything up, or brings image and chart up to date when it is up already.
 * @param bare - without our image and chart: for tests of the ground itself.
 */
export async function bringUp({ bare = false } = {}): Promise<void> {
  if (process.env['USE_EXISTING_CLUSTER'] === '1') return useExistingCluster(say);
  demandPrerequisites();
  const before = readRecord();
  if (before && isAlive(before) && before.directory !== CLUSTER) {
    throw new Error(`a ground runs already, from ${before.directory}: run \`make cluster-down\` there first`);
  }
  if (groundIsUp()) {
    say('cluster: our own, already up; bringing image and chart up to date');
    const built = await programImage();
    await importImage(built.archive);
    await writeGroundEnvironment({ ...readGroundEnvironment(), IMAGE: built.reference });
    await installChart(built.reference);
    say(`up to date with image ${built.reference}`);
    return;
  }
  if (before) say('removing what an earlier run left behind');
  await takeDown();
  say(`cluster: our own, one node under ${CLUSTER}`);
  await startGround(bare);
  say('the ground is up');
}

/** Whether this checkout's ground runs and came up whole. */
export function groundIsUp(): boolean {
  const record = readRecord(EXISTING_RECORD) ?? readRecord();
  return record !== undefined && isAlive(record) && record.directory === CLUSTER && existsSync(paths.env);
}

async function startGround(bare: boolean): Promise<void> {
  const programs = await kubernetesPrograms();
  await binary('pause'); // Process 1 of the namespaces and an image at once: built here, or both would build it.
  const archives = Promise.all([pauseArchive(), workloadArchive()]);
  const image = bare ? undefined : archives.then(programImage); // It stands on one of them.
  archives.catch(() => undefined); // Awaited below; a failure before that must not end the process without a word.
  image?.catch(() => undefined);
  const parts = csiParts();
  parts.catch(() => undefined);
  const init = await prepare();
  const [, dataCenters] = await Promise.all([startNode(init, programs), startDataCenters(init, GROUND_ADDRESS)]);
  say('Kubernetes, S3 and KMS answer');
  const csi = startCsi(init, await parts, (args, input) => kubectl(programs, args, input));
  csi.catch(() => undefined);
  for (const archive of await archives) await importImage(archive);
  const built = await image;
  if (built) {
    await importImage(built.archive);
    say(`image ${built.reference} is on the node`);
  }
  await until('the node to be ready', 60, () => nodeIsReady(programs));
  // Pods cannot be made before it is there, so this also says that the controllers work.
  await until('the first service account', 30, async () => (await kubectl(programs, ['get', 'serviceaccount', 'default', '--output=name'])) !== '');
  const classes = await csi;
  say('the CSI driver and its sidecars are up');
  const environment: GroundEnvironment = {
    KUBECONFIG: paths.kubeconfig,
    KUBECTL: programs('kubectl'),
    ...dataCenters,
    ...classes,
    CONTAINERD_ADDRESS: paths.containerdSocket,
    NODE_NAME,
    GROUND_ADDRESS,
    HOST_ADDRESS,
    GROUND_INIT_PID: String(init.pid),
    IMAGE: built?.reference ?? '',
    WORKLOAD_IMAGE,
  };
  await writeGroundEnvironment(environment);
  if (built) await installChart(built.reference);
}

/** Writes the record first, then makes namespaces, control groups and certificates. */
async function prepare(): Promise<Init> {
  const record: Record = {
    directory: CLUSTER,
    sysctls: Object.fromEntries(SYSCTLS.map((file) => [file, readFileSync(file, 'utf8').trim()])),
    folders: PRIVATE_PLACES.filter((place) => !existsSync(place)),
  };
  await writeRecord(record);
  for (const place of PRIVATE_PLACES) await mkdir(place, { recursive: true });
  for (const folder of [CLUSTER, paths.etc, paths.logs, paths.pids]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const init = await startNamespaces(NODE_NAMESPACES);
  await writeRecord({ ...record, init });
  await Promise.all([furnishNamespaces(init), makeControlGroups(), makeCertificates()]);
  return init;
}

async function startNode(init: Init, programs: Programs): Promise<void> {
  await writeKubeconfig(paths.kubeconfig, 'admin');
  await Promise.all([startContainerd(init), startApiServer(init, programs)]);
  try {
    await until('the API server', 60, async () => (await kubectl(programs, ['get', '--raw', '/readyz'])) === 'ok');
    await until('containerd', 30, () => Promise.resolve(existsSync(paths.containerdSocket)));
    await kubectl(programs, ['create', 'clusterrolebinding', 'ground-proxy', '--clusterrole=system:node-proxier', '--user=system:kube-proxy']);
  } catch (error) {
    throw new Error(`the control plane at ${API_SERVER} did not come up; the API server's log ends:\n${logTail('kube-apiserver')}`, { cause: error });
  }
  await Promise.all([startControllers(init, programs), startKubelet(init, programs), startProxy(init, programs)]);
}

async function nodeIsReady(programs: Programs): Promise<boolean> {
  const condition = '{.status.conditions[?(@.type=="Ready")].status}';
  return (await kubectl(programs, ['get', 'node', NODE_NAME, `-o=jsonpath=${condition}`])) === 'True';
}

function kubectl(programs: Programs, args: readonly string[], input?: string): Promise<string> {
  return run(programs('kubectl'), ['--kubeconfig', paths.kubeconfig, ...args], input === undefined ? {} : { input });
}

if (import.meta.main) {
  try {
    await bringUp({ bare: process.argv.includes('--bare') });
  } catch (error) {
    console.error(error instanceof Error ? `cluster-up: ${error.message}` : error);
    process.exitCode = 1;
  }
}

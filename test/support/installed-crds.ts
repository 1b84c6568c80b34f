import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { isKubeError, ResourceClient, resourceTypes, type KubeConnection, type NewObject, type ResourceType } from '../../src/kube/index.ts';

const DEFINITIONS: ResourceType = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false };

/** Creates our CRDs, and waits until the API server serves them: a moment after it accepts them. */
export async function installCrds(connection: KubeConnection): Promise<void> {
  const definitions = new ResourceClient(connection, DEFINITIONS);
  for (const file of readdirSync('crds')) await definitions.create(parse(readFileSync(`crds/${file}`, 'utf8')) as NewObject);
  for (const type of [resourceTypes.backupLocations, resourceTypes.backupTenants, resourceTypes.backupPolicies, resourceTypes.backups, resourceTypes.restores]) {
    while (!(await isServed(connection, type))) await sleep(20);
  }
}

async function isServed(connection: KubeConnection, type: ResourceType): Promise<boolean> {
  try {
    await new ResourceClient(connection, type).list();
    return true;
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return false;
    throw error;
  }
}

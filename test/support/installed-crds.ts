import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { isKubeError, ResourceClient, resourceTypes, type KubeConnection, type NewObject, type ResourceType } from '../../src/kube/index.ts';

const DEFINITIONS: ResourceType = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false };

type Definition = NewObject & { readonly spec: { readonly versions: readonly { readonly subresources?: object }[] } };

/** Creates our CRDs, and waits until the API server serves them: a moment after it accepts them. */
export async function installCrds(connection: KubeConnection): Promise<void> {
  const definitions = new ResourceClient(connection, DEFINITIONS);
  for (const definition of read()) await definitions.create(definition);
  await served(connection);
}

/**
 * Creates our CRDs in such a way that an object can be created together with its status, which halves the requests for tens of
 * thousands of objects; the answer makes them as they are.
 */
export async function installCrdsForLaying(connection: KubeConnection): Promise<() => Promise<void>> {
  const definitions = new ResourceClient(connection, DEFINITIONS);
  const whole = read();
  for (const definition of whole) {
    const versions = definition.spec.versions.map((version) => ({ ...version, subresources: {} }));
    await definitions.create({ ...definition, spec: { ...definition.spec, versions } });
  }
  await served(connection);
  return async () => {
    for (const { metadata, spec } of whole) await definitions.patch(metadata.name, undefined, { spec });
  };
}

function read(): readonly Definition[] {
  return readdirSync('crds').map((file) => parse(readFileSync(`crds/${file}`, 'utf8')) as Definition);
}

async function served(connection: KubeConnection): Promise<void> {
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

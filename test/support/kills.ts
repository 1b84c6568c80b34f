// Operators and movers that end without a word, as on a node that loses its power.
import { SYSTEM_NAMESPACE, kubectl } from './cluster.ts';

async function kill(namespace: string, selector: readonly string[]): Promise<number> {
  const pods = (await kubectl(['get', 'pods', '-n', namespace, ...selector, '-o', 'name'])).split('\n').filter(Boolean);
  if (pods.length > 0) await kubectl(['delete', '-n', namespace, '--ignore-not-found', '--grace-period=0', '--force', ...pods]);
  return pods.length;
}

/** Every replica of it. */
export async function killOperators(): Promise<number> {
  return kill(SYSTEM_NAMESPACE, ['-l', 'app.kubernetes.io/component=operator']);
}

/** Every pod of a namespace that has nothing but movers. */
export async function killMovers(namespace: string): Promise<number> {
  return kill(namespace, []);
}

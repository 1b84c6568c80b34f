import type { StorageFacts } from '../../src/decide/index.ts';

/** A cluster that knows neither snapshots nor clones. */
export const NO_STORAGE: StorageFacts = {
  snapshotClasses: undefined,
  groupClasses: [],
  cloningClasses: new Set(),
  waitingClasses: new Set(),
  moverNamespace: { name: 'movers', exists: true },
};

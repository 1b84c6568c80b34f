import type { MoverOrders } from '../api/index.ts';
import { openStore, s3Url, type ObjectStore } from '../storage/index.ts';
import type { CredentialsFile } from './credentials-file.ts';
import { readingFirstVersions } from './first-versions.ts';
import type { MoverLines } from './mover-lines.ts';
import type { Pulse } from './pulse.ts';

/** The tenant's part of the bucket: `<prefix>/tenants/<tenantId>/`. Nothing is read or written yet. */
export async function openTenantStore(orders: MoverOrders, credentials: CredentialsFile, lines: MoverLines, pulse: Pick<Pulse, 'answered'>): Promise<ObjectStore> {
  const store = await openStore(tenantUrl(orders), {
    s3: {
      credentials: () => credentials.s3(),
      ...(orders.storage.caBundle === undefined ? {} : { caBundle: orders.storage.caBundle }),
    },
    retry: {
      onAnswer: pulse.answered,
      onRetry: ({ doing, attempt, error }) => lines.trouble(error.code, `${doing}: ${error.message} (try ${attempt}; it is tried again)`),
    },
  });
  return orders.storage.isReplica === true ? readingFirstVersions(store) : store;
}

/** The URL that `openStore` takes, of what the orders say. */
export function tenantUrl({ storage, tenant }: Pick<MoverOrders, 'storage' | 'tenant'>): string {
  return s3Url(storage, [storage.prefix, 'tenants', tenant.id].filter((part) => part !== '').join('/'));
}

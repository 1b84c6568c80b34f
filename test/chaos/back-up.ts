/** What `restic-kill.test.ts` kills: one backup of a directory into a repository of files. */
import { backup, openRepository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/file-store.ts';

const [repository, source] = process.argv.slice(2);
if (repository === undefined || source === undefined) throw new Error('usage: back-up.ts REPOSITORY SOURCE');
const opened = await openRepository({ store: new FileStore(repository), password: Buffer.from(process.env['PASSWORD'] ?? '') });
await backup(opened, { hostname: 'killed', snapshotHostname: 'h', tags: [], sources: [{ directory: source, as: '/volumes/data' }] });
await opened.close();

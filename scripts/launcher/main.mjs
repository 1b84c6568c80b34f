// The first thing that runs, in JavaScript that every Node with modules understands: what comes after needs a newer one.
import { createRequire } from 'module';

var found = process.versions.node;
if (Number(found.split('.')[0]) < __NODE_MAJOR__) {
  console.error('tenant-backup: Node ' + found + ' is too old; Node __NODE_MAJOR__ or newer is needed: install it, or name its binary in TENANT_BACKUP_NODE');
  process.exit(1);
}
// What moves data has little that lives long; without this the heap grows to four times that before it is swept.
if (!/^(operator|portal)$/.test(process.argv[2] || '')) createRequire(import.meta.url)('v8').setFlagsFromString('--heap-growing-percent=50');
// Compiled code is kept between runs where the folder for temporary files can be written; where not, nothing is lost but time.
createRequire(import.meta.url)('module').enableCompileCache();
import('./program.mjs');

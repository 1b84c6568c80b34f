// Adds up Jest's results: prints `N passed, N failed` as the last line. A run that left no result, or one in which a file
// could not even be loaded, counts as failed.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, ...runs] = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const run of runs) {
  const file = join(folder, `${run}.json`);
  if (!existsSync(file)) {
    console.log(`${run}: the tests did not run to their end`);
    failed += 1;
    continue;
  }
  const result = JSON.parse(readFileSync(file, 'utf8'));
  passed += result.numPassedTests;
  failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

/** A worker thread of restore: decodes blobs and writes files. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Task, WorkerSetup } from './messages.ts';
import { TaskRunner } from './task-runner.ts';

if (parentPort !== null) {
  const port = parentPort;
  const runner = new TaskRunner(workerData as WorkerSetup);
  port.on('message', (task: Task | 'close') => {
    if (task === 'close') {
      runner.close();
      port.close();
      return;
    }
    port.postMessage(runner.run(task));
  });
}

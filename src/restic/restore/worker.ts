/** A worker thread of restore: decodes blobs and writes files. */
import { parentPort, workerData } from 'node:worker_threads';
import type { WorkerSetup } from './messages.ts';
import { unpackTask, type ThreadTask } from './packed-task.ts';
import { TaskRunner } from './task-runner.ts';

if (parentPort !== null) {
  const port = parentPort;
  const runner = new TaskRunner(workerData as WorkerSetup);
  port.on('message', (task: ThreadTask | 'close') => {
    if (task === 'close') {
      runner.close();
      port.close();
      return;
    }
    port.postMessage(runner.run(task.kind === 'packed' ? unpackTask(task) : task));
    // Let go of at once: the collector knows too little of memory outside its heap to hurry.
    if (task.kind === 'packed' && task.bytes.buffer instanceof ArrayBuffer) task.bytes.buffer.transfer(0);
  });
}

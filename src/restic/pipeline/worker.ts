/** The entry of a worker thread; a bundle has it as `worker.mjs` beside the program. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ToWorker, WorkerStart } from './messages.ts';
import { WorkerTask } from './worker-task.ts';

if (parentPort === null) throw new Error('this file runs as a worker thread only');
const port = parentPort;
const task = new WorkerTask(workerData as WorkerStart, (message, transfer) => {
  port.postMessage(message, transfer);
});
port.on('message', (message: ToWorker) => {
  task.handle(message);
});

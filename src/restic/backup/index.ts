/** Making a snapshot: what has not changed is taken over from the parent's trees, the rest goes through the worker threads. */
export { backup } from './backup.ts';

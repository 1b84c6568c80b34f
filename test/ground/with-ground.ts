// Runs a command on a ground: the one that is up, brought up to date, or one of its own that is taken down afterwards.
import { spawn } from 'node:child_process';
import { takeDown } from './down.ts';
import { groundIsUp, bringUp } from './up.ts';
import { readGroundEnvironment } from './env-file.ts';

async function withGround(command: string, args: readonly string[]): Promise<number> {
  const wasUp = groundIsUp();
  try {
    await bringUp();
    return await new Promise<number>((resolve, reject) => {
      const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...readGroundEnvironment() } });
      child.once('error', reject);
      child.once('close', (status) => resolve(status ?? 1));
    });
  } finally {
    if (!wasUp) await takeDown();
  }
}

const [command, ...args] = process.argv.slice(2);
if (command === undefined) throw new Error('name the command to run on the ground');
// The command gets the signal of the terminal too; this program waits for it, to clean up.
process.on('SIGINT', () => undefined);
try {
  process.exitCode = await withGround(command, args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

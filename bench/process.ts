/** A process that only the bench needs, beside the stack's: started like a role, ready when it says so, gone with its parent. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface BenchProcess {
  pid: number;
  /** Where it listens, if it does. */
  url: string | null;
  stop(): Promise<void>;
}

/** @throws when it ends before it is ready */
export async function startBenchProcess(entry: string, env: Record<string, string>): Promise<BenchProcess> {
  const child = fork(fileURLToPath(new URL(entry, import.meta.url)), [], {
    execArgv: ['--import', import.meta.resolve('tsx')],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const url = await new Promise<string | null>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`bench/${entry} ended with ${code ?? 'a signal'}`)));
    child.on('message', (message: { type?: string; url?: string | null }) => {
      if (message.type === 'ready') resolve(message.url ?? null);
    });
  });
  return {
    pid: child.pid ?? 0,
    url,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/** What a running stack says on the terminal: its addresses, and what a person should know of its roles. */
import { isAbsolute, relative } from 'node:path';
import type { Stack } from './stack.ts';
import type { SupervisorEvent } from './supervisor/supervisor.ts';

/** The same warning of the same role is shown again after this only. */
const REPEAT_MS = 30_000;

export class Console {
  readonly #shownAtMs = new Map<string, number>();

  warning(role: string, warning: string): void {
    const key = `${role} ${warning}`;
    const last = this.#shownAtMs.get(key);
    if (last !== undefined && Date.now() - last < REPEAT_MS) return;
    this.#shownAtMs.set(key, Date.now());
    console.error(`[${role}] ${warning}`);
  }

  event(event: SupervisorEvent): void {
    if (event.kind === 'crashed') {
      const how = event.exit.signal ?? `exit code ${event.exit.code ?? 'unknown'}`;
      const then = event.againInMs === null ? '' : `; starting it again in ${event.againInMs / 1000} s`;
      console.error(`[${event.name}] ended (${how})${then}`);
    } else if (event.kind === 'restarted') {
      console.error(`[${event.name}] runs again, process ${event.pid ?? 'gone'}`);
    } else console.error(`[${event.name}] did not start: ${event.error}`);
  }

  ready(
    { description: at, directory, stackFile }: Stack,
    elapsedMs: number,
    end = 'Ctrl-C stops it; the data is kept.',
  ): void {
    console.log(
      [
        '',
        `The stack is ready (${(elapsedMs / 1000).toFixed(1)} s).`,
        '',
        `  API            ${at.api_url}`,
        `  API reference  ${at.docs_url}`,
        ...(at.temporal_ui_url === null ? [] : [`  Temporal UI    ${at.temporal_ui_url}`]),
        `  …to read the payloads there, open once: ${at.codec_login_url}`,
        `  Temporal       ${at.temporal_address}, namespace ${at.temporal_namespace}`,
        ...(at.clock.rate === 1 ? [] : [`  Clock          ${at.clock.rate} times as fast as the wall's`]),
        '',
        `  Addresses, keys and process ids: ${short(stackFile)}`,
        `  Logs: ${short(directory)}/logs`,
        '',
        end,
      ].join('\n'),
    );
  }
}

function short(path: string): string {
  const way = relative(process.cwd(), path);
  return way.startsWith('..') || isAbsolute(way) ? path : way;
}

/**
 * A process writes its log straight into a file, so that not a line is lost when either end is killed. The supervisor
 * reads along: it shows what a person should see, and quotes the end when a process does not come up.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

const MAX_LOG_BYTES = 20 * 1024 * 1024;
const READ_EVERY_MS = 250;
const CHUNK_BYTES = 64 * 1024;
/** A line longer than this is shown in parts. */
const MAX_LINE_BYTES = 1024 * 1024;

/** Makes the folder, and puts a log that has grown too long aside (one older log is kept). */
export async function prepareLogFile(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (existsSync(path) && statSync(path).size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
}

/** Reads along from the end of the file as it is now. */
export class LogReader {
  readonly #fd: number;
  readonly #onLine: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #last: string[] = [];
  #offset: number;
  #rest = Buffer.alloc(0);

  constructor(path: string, onLine: (line: string) => void) {
    this.#fd = openSync(path, 'a+', 0o600);
    this.#offset = fstatSync(this.#fd).size;
    this.#onLine = onLine;
    this.#timer = setInterval(() => this.read(), READ_EVERY_MS).unref();
  }

  /** Where the process is to write. */
  get fd(): number {
    return this.#fd;
  }

  /** The last lines that were read. */
  get last(): string[] {
    return this.#last;
  }

  read(): void {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const bytes = readSync(this.#fd, chunk, 0, CHUNK_BYTES, this.#offset);
      if (bytes === 0) return;
      this.#offset += bytes;
      this.#take(chunk.subarray(0, bytes));
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.read();
    if (this.#rest.length > 0) this.#emit(this.#rest);
    closeSync(this.#fd);
  }

  #take(bytes: Buffer): void {
    let text = Buffer.concat([this.#rest, bytes]);
    for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10)) {
      this.#emit(text.subarray(0, end));
      text = text.subarray(end + 1);
    }
    if (text.length > MAX_LINE_BYTES) {
      this.#emit(text);
      text = Buffer.alloc(0);
    }
    this.#rest = Buffer.from(text);
  }

  #emit(bytes: Buffer): void {
    const line = bytes.toString('utf8').trimEnd();
    if (line === '') return;
    this.#last.push(line);
    if (this.#last.length > 20) this.#last.shift();
    this.#onLine(line);
  }
}

/** Pino's numbers. */
const WARN = 40;

/** One line for a person when a role's log line is a warning or worse, else undefined. */
export function warningIn(line: string): string | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    // What is not JSON was not written by the logger: a crash of the runtime, a stray print. What Node says of deprecated
    // calls is for developers, and stays in the file.
    return /^\(node:\d+\)|^\(Use `node /.test(line) ? undefined : line;
  }
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { level, msg, err } = entry as { level?: unknown; msg?: unknown; err?: { message?: unknown } };
  if (typeof level !== 'number' || level < WARN) return undefined;
  const why = typeof err?.message === 'string' ? `: ${err.message}` : '';
  return `${level > WARN ? 'error' : 'warning'}: ${typeof msg === 'string' ? msg : ''}${why}`;
}

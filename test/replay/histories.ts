/**
 * The golden histories: what running deliveries have in Temporal's database, recorded through the codec, a file for each run of
 * a workflow. Append-only: each stands for deliveries that may be under way when a build is deployed.
 */
import {
  historyFromJSON,
  historyToJSON,
  JSONToPayload,
  payloadToJSON,
} from '@temporalio/common/lib/proto-utils.js';
import type { History, JSONPayload } from '@temporalio/common/lib/proto-utils.js';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { parsePayloadKeys } from '../../shared/temporal/codec.ts';
import { createDataConverter } from '../../shared/temporal/data-converter.ts';
import { MANIFEST } from './manifest.ts';

export type { History };

export const HISTORIES = join(import.meta.dirname, 'histories');

/** Encrypts nothing but these histories, and is no secret: whoever has the repository may read them. */
export const REPLAY_KEYS = `replay:${Buffer.from('golden histories of deliveries!!').toString('base64')}`;
export const replayDataConverter = createDataConverter(parsePayloadKeys(REPLAY_KEYS));

const EXTENSION = '.json.gz';
const pack = promisify(gzip);
const unpack = promisify(gunzip);

/**
 * `delivered-by-drone@1`: of which path it is and the how many-th recording of that; `.run2` for the run after the first
 * continue-as-new.
 */
export interface HistoryName {
  path: string;
  recording: number;
  run: number;
}

const NAME = /^([a-z0-9-]+)@(\d+)(?:\.run(\d+))?\.json\.gz$/;

export function fileOf({ path, recording, run }: HistoryName): string {
  return `${path}@${recording}${run === 1 ? '' : `.run${run}`}${EXTENSION}`;
}

/** @throws {Error} for a file that is named otherwise */
export function nameOf(file: string): HistoryName {
  const [, path, recording, run = '1'] = NAME.exec(file) ?? [];
  if (path === undefined) throw new Error(`${file} is not named like a history`);
  return { path, recording: Number(recording), run: Number(run) };
}

/** The files of all histories in a folder, by name; none when it is not there. */
export async function historyFiles(folder = HISTORIES): Promise<string[]> {
  const files = await readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [];
  });
  return files.filter((file) => file !== MANIFEST).sort();
}

export async function readHistory(file: string, folder = HISTORIES): Promise<History> {
  const json = (await unpack(await readFile(join(folder, file)))).toString();
  return historyFromJSON(JSON.parse(json));
}

/** Adds a history. @throws when there is one of that name: none is ever overwritten */
export async function addHistory(name: HistoryName, history: History): Promise<string> {
  const json: unknown = JSON.parse(historyToJSON(history));
  await forgetStacks(json);
  await mkdir(HISTORIES, { recursive: true });
  const file = fileOf(name);
  await writeFile(join(HISTORIES, file), await pack(JSON.stringify(json), { level: 9 }), { flag: 'wx' });
  return file;
}

/** Takes the stacks of its failures out: they name the files of the machine that recorded them, and replay needs none. */
async function forgetStacks(json: unknown): Promise<void> {
  if (typeof json !== 'object' || json === null) return;
  const fields = json as Record<string, unknown>;
  if (typeof fields['stackTrace'] === 'string') fields['stackTrace'] = '';
  if (fields['encodedAttributes']) {
    fields['encodedAttributes'] = await withoutStack(fields['encodedAttributes']);
  }
  for (const value of Object.values(fields)) await forgetStacks(value);
}

async function withoutStack(encoded: JSONPayload): Promise<JSONPayload> {
  const [codec] = replayDataConverter.payloadCodecs;
  const [payload] = await codec.decode([JSONToPayload(encoded)]);
  if (!payload?.data) throw new Error('A failure without its attributes');
  const attributes = JSON.parse(Buffer.from(payload.data).toString()) as object;
  const data = Buffer.from(JSON.stringify({ ...attributes, stack_trace: '' }));
  const [again] = await codec.encode([{ ...payload, data }]);
  if (!again) throw new Error('The codec lost a payload');
  return payloadToJSON(again);
}

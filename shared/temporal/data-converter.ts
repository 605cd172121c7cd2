/**
 * How values become payloads, the same for every client and worker: JSON, then encrypted.
 *
 * Failures are encrypted as well: an error's message and stack trace often quote the value that caused it (an address, a
 * phone number). An operator sees them decoded in the UI after logging in to the codec server; without it the UI still
 * shows the failure's type, which our code chooses and which names what went wrong.
 */
import { type DataConverter } from '@temporalio/common';
import { fileURLToPath } from 'node:url';
import { EncryptionCodec, type PayloadKeyRing } from './codec.ts';

/** A data converter with a codec for certain: what the codec server needs of it. */
export type EncryptingDataConverter = DataConverter & { payloadCodecs: [EncryptionCodec] };

const failureConverterPath = fileURLToPath(new URL('./failure-converter.cjs', import.meta.url));

export function createDataConverter(ring: PayloadKeyRing): EncryptingDataConverter {
  return { failureConverterPath, payloadCodecs: [new EncryptionCodec(ring)] };
}

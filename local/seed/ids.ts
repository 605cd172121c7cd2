/** Ids of seed data: made from a name, so that they are the same on every machine and for ever. */
import { createHash } from 'node:crypto';
import { type Id, idFromUuid, type IdKind } from '../../shared/ids.ts';

/** 2024-01-01T00:00:00Z: seed data sorts before everything that is made later. */
const SEED_TIME_MS = 1_704_067_200_000;

/** The id of the seed object with this name. */
export function seedId<K extends IdKind>(kind: K, name: string): Id<K> {
  const digest = createHash('sha256').update(`${kind}/${name}`).digest();
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(SEED_TIME_MS, 0, 6);
  digest.copy(bytes, 6, 0, 10);
  // Version 7 and the RFC 9562 variant: it is an ordinary UUID to whoever looks inside.
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return idFromUuid(
    kind,
    [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'),
  );
}

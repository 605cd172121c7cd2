/** Pictures of the simulated world: real PNG files, small, another one for each name. */
import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';
import type { Photo } from '../services/delivery/contract/proof.ts';

const WIDTH = 32;
const HEIGHT = 24;

/** A photo of the doorstep: bands of grey that depend on the name alone. */
export function simulatedPhoto(name: string): Photo {
  const shades = createHash('sha256').update(name).digest();
  return picture((_x, y) => shades.readUInt8(y));
}

/** A name drawn by hand: a line that goes up and down. */
export function simulatedSignature(name: string): Photo {
  const strokes = createHash('sha256').update(name).digest();
  return picture((x, y) => (Math.abs(strokes.readUInt8(x) / (256 / HEIGHT) - y) < 1.5 ? 0 : 255));
}

/** An image of 8-bit grey, as W3C PNG 11.2 lays it out. */
function picture(shadeAt: (x: number, y: number) => number): Photo {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header.writeUInt8(8, 8);
  const rows = Array.from({ length: HEIGHT }, (_row, y) => [
    0,
    ...Array.from({ length: WIDTH }, (_column, x) => shadeAt(x, y)),
  ]);
  const bytes = Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.from(rows.flat()))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
  return { content_type: 'image/png', data: bytes.toString('base64') };
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, check]);
}

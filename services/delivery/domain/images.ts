/** Images as they are given: bytes that are what they are said to be, and no more of them than may be. Pure. */
import { Problem } from '../../../shared/errors.ts';
import type { ImageType } from '../contract/proof.ts';

/**
 * The bytes of an image.
 * @param field where it stands in the request
 * @throws {Problem} 400 when the bytes are another kind of file than is said, or too many
 */
export function imageBytes(
  { content_type: type, data }: { content_type: ImageType; data: string },
  field: string,
  maxBytes: number,
): Buffer {
  const bytes = Buffer.from(data, 'base64');
  if (bytes.length > maxBytes)
    throw wrong(field, `must be at most ${maxBytes} bytes; these are ${bytes.length}`);
  if (!BEGINS_LIKE[type](bytes)) throw wrong(field, `must be the bytes of an ${type}, as content_type says`);
  return bytes;
}

const begins = (bytes: Buffer, hex: string, at = 0): boolean =>
  bytes.subarray(at, at + hex.length / 2).toString('hex') === hex;

/** W3C PNG 5.2; ITU-T T.81, B.1.1.3: SOI and the first marker; RFC 9649, 2.4. */
const BEGINS_LIKE: Readonly<Record<ImageType, (bytes: Buffer) => boolean>> = {
  'image/png': (bytes) => begins(bytes, '89504e470d0a1a0a'),
  'image/jpeg': (bytes) => begins(bytes, 'ffd8ff'),
  'image/webp': (bytes) => begins(bytes, '52494646') && begins(bytes, '57454250', 8),
};

function wrong(field: string, message: string): Problem {
  return new Problem('invalid-request', { detail: `${field} ${message}.`, errors: [{ field, message }] });
}

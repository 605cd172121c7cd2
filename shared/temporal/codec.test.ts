import { type Payload } from '@temporalio/common';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EncryptionCodec,
  generatePayloadKey,
  isEncrypted,
  parsePayloadKeys,
  PayloadDecryptionError,
} from './codec.ts';
import { createDataConverter } from './data-converter.ts';

const oldKey = generatePayloadKey('2024');
const newKey = generatePayloadKey('2025');
const codec = new EncryptionCodec(parsePayloadKeys(newKey));

const payloads = fc.array(
  fc.record(
    {
      metadata: fc.dictionary(fc.string(), fc.uint8Array()),
      data: fc.uint8Array({ maxLength: 2000 }),
    },
    { requiredKeys: ['data'] },
  ),
);

describe('the payload codec', () => {
  it('gives back whatever it has encrypted', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, async (given) => {
        const encrypted = await codec.encode(given);
        expect(encrypted.every(isEncrypted)).toBe(true);
        expect((await codec.decode(encrypted)).map(plain)).toEqual(given.map(plain));
      }),
    );
  });

  it('shows nothing of the data and never encrypts alike twice', async () => {
    const [first, second] = await codec.encode([text('Ada Lovelace'), text('Ada Lovelace')]);
    expect(Buffer.from(first!.data!).toString('latin1')).not.toContain('Ada');
    expect(JSON.stringify(first)).not.toContain(Buffer.from('Ada').toString('base64').slice(0, 4));
    expect(Buffer.from(first!.data!)).not.toEqual(Buffer.from(second!.data!));
  });

  it('names cipher and key in the metadata', async () => {
    const [encrypted] = await codec.encode([text('x')]);
    expect(asText(encrypted!.metadata!)).toEqual({
      encoding: 'binary/encrypted',
      'encryption-cipher': 'AES-256-GCM',
      'encryption-key-id': '2025',
    });
  });

  it('passes payloads that were never encrypted', async () => {
    const given = [text('plain'), { data: new Uint8Array() }, {}];
    expect(await codec.decode(given)).toEqual(given);
  });

  it('detects any changed byte', async () => {
    const [encrypted] = await codec.encode([text('one drone')]);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(encrypted!.data!.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (index, mask) => {
          const data = Uint8Array.from(encrypted!.data!);
          data[index]! ^= mask;
          await expect(codec.decode([{ ...encrypted, data }])).rejects.toThrow(PayloadDecryptionError);
        },
      ),
    );
  });

  it('detects data that were cut short', async () => {
    const [encrypted] = await codec.encode([text('one drone')]);
    for (const length of [0, 12, 27, encrypted!.data!.length - 1]) {
      const data = encrypted!.data!.subarray(0, length);
      await expect(codec.decode([{ ...encrypted, data }])).rejects.toThrow(PayloadDecryptionError);
    }
  });

  it('detects a payload that is passed off as encrypted with another key of the same value', async () => {
    const base64 = newKey.split(':')[1]!;
    const both = new EncryptionCodec(parsePayloadKeys(`${newKey},other:${base64}`));
    const [encrypted] = await both.encode([text('x')]);
    const metadata = { ...encrypted!.metadata, 'encryption-key-id': Buffer.from('other') };
    await expect(both.decode([{ ...encrypted, metadata }])).rejects.toThrow(/was changed/);
  });

  it('says which key is missing and which are known, and shows none', async () => {
    const [encrypted] = await new EncryptionCodec(parsePayloadKeys(oldKey)).encode([text('x')]);
    await expect(codec.decode([encrypted!])).rejects.toThrow(
      'This payload was encrypted with key "2024", which is not in PAYLOAD_KEYS (known: "2025")',
    );
  });

  it('rotates: the new key encrypts, the old one still decrypts', async () => {
    const [old] = await new EncryptionCodec(parsePayloadKeys(oldKey)).encode([text('written before')]);
    const rotated = new EncryptionCodec(parsePayloadKeys(`${newKey},${oldKey}`));
    expect((await rotated.decode([old!])).map(plain)).toEqual([plain(text('written before'))]);
    const [fresh] = await rotated.encode([text('written after')]);
    expect(asText(fresh!.metadata!)['encryption-key-id']).toBe('2025');
  });
});

describe('PAYLOAD_KEYS', () => {
  it.each([
    ['', /entry 1 is not of the form/],
    ['nokey', /entry 1 is not of the form/],
    [`${newKey},`, /entry 2 is not of the form/],
    [`a:${Buffer.alloc(16).toString('base64')}`, /key "a" has 16 bytes, AES-256 needs 32/],
    [`${newKey},${newKey}`, /key "2025" is there twice/],
  ])('refuses %j', (value, message) => {
    expect(() => parsePayloadKeys(value)).toThrow(message);
  });

  it('takes the first key as the active one', () => {
    expect(parsePayloadKeys(` ${newKey} , ${oldKey}`)).toMatchObject({ activeKeyId: '2025' });
  });
});

describe('the data converter', () => {
  const { failureConverter, payloadConverter } = loadDataConverter(
    createDataConverter(parsePayloadKeys(newKey)),
  );

  it("moves a failure's message and stack trace into a payload that the codec encrypts", () => {
    const failure = failureConverter.errorToFailure(new Error('Nobody at 12 Elm Street'), payloadConverter);
    expect(failure.message).toBe('Encoded failure');
    expect(failure.stackTrace ?? '').toBe('');
    expect(failureConverter.failureToError(failure, payloadConverter).message).toBe(
      'Nobody at 12 Elm Street',
    );
  });
});

function text(value: string): Payload {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(value)) };
}

function asText(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]: [string, unknown]) => [
      key,
      inner instanceof Uint8Array ? Buffer.from(inner).toString() : asText(inner as object),
    ]),
  );
}

/** Empty metadata and data are the same as none in a protobuf message. */
function plain({ metadata, data }: Payload) {
  return {
    metadata: Object.entries(metadata ?? {})
      .map(([key, value]) => [key, Buffer.from(value).toString('hex')])
      .sort(),
    data: Buffer.from(data ?? []).toString('hex'),
  };
}

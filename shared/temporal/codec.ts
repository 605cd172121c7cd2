/**
 * Payload encryption: what a workflow takes, keeps and returns may name people and places, so Temporal's server, database
 * and UI only ever see ciphertext. AES-256-GCM with a random 96-bit nonce for each payload (NIST SP 800-38D).
 *
 * On the wire: metadata `encoding`, `encryption-cipher` and `encryption-key-id`, data = nonce ‖ ciphertext ‖ tag. The
 * metadata are authenticated, so that neither they nor the data can be changed unnoticed.
 */
import { ValueError, type Payload, type PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';

// A CommonJS module without static exports: only its default can be imported.
const { Payload: ProtoPayload } = proto.temporal.api.common.v1;

export const ENCRYPTED_ENCODING = 'binary/encrypted';
const CIPHER_NAME = 'AES-256-GCM';
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The keys a process can decrypt with, and the one that it encrypts with. */
export interface PayloadKeyRing {
  activeKeyId: string;
  keys: ReadonlyMap<string, KeyObject>;
}

/** A payload that cannot be decrypted: its key is not in the ring, or somebody changed it. */
export class PayloadDecryptionError extends ValueError {
  override readonly name: string = 'PayloadDecryptionError';
}

/**
 * Parses `PAYLOAD_KEYS`: `id:base64,id:base64`, each key 32 bytes. The first encrypts; all decrypt, so a key is rotated by
 * putting its successor in front and dropped once no open workflow was written with it.
 *
 * @throws ValueError naming what is wrong, never the key itself.
 */
export function parsePayloadKeys(text: string): PayloadKeyRing {
  const keys = new Map<string, KeyObject>();
  for (const [index, entry] of text.split(',').entries()) {
    const [, id, base64] = /^\s*([\w.-]+):([\w+/-]+=*)\s*$/.exec(entry) ?? [];
    if (id === undefined || base64 === undefined) {
      throw new ValueError(`PAYLOAD_KEYS: entry ${index + 1} is not of the form id:base64`);
    }
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.length !== KEY_BYTES) {
      throw new ValueError(`PAYLOAD_KEYS: key "${id}" has ${bytes.length} bytes, AES-256 needs ${KEY_BYTES}`);
    }
    if (keys.has(id)) throw new ValueError(`PAYLOAD_KEYS: key "${id}" is there twice`);
    keys.set(id, createSecretKey(bytes));
  }
  const [activeKeyId] = keys.keys();
  if (activeKeyId === undefined) throw new ValueError('PAYLOAD_KEYS is empty');
  return { activeKeyId, keys };
}

/** A fresh key as an entry of `PAYLOAD_KEYS`. */
export function generatePayloadKey(id: string): string {
  return `${id}:${randomBytes(KEY_BYTES).toString('base64')}`;
}

/** Encrypts every payload with the ring's active key; decrypts what any key of the ring has encrypted. */
export class EncryptionCodec implements PayloadCodec {
  readonly #ring: PayloadKeyRing;

  constructor(ring: PayloadKeyRing) {
    this.#ring = ring;
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => this.#encrypt(payload));
  }

  /** Payloads that were never encrypted pass unchanged. @throws PayloadDecryptionError */
  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => (isEncrypted(payload) ? this.#decrypt(payload) : payload));
  }

  #encrypt(payload: Payload): Payload {
    const { activeKeyId: keyId } = this.#ring;
    const key = this.#key(keyId);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(authenticatedMetadata(keyId));
    const plaintext = ProtoPayload.encode(payload).finish();
    return {
      metadata: {
        encoding: Buffer.from(ENCRYPTED_ENCODING),
        'encryption-cipher': Buffer.from(CIPHER_NAME),
        'encryption-key-id': Buffer.from(keyId),
      },
      data: Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]),
    };
  }

  #decrypt(payload: Payload): Payload {
    const cipherName = metadataText(payload, 'encryption-cipher');
    if (cipherName !== CIPHER_NAME) {
      throw new PayloadDecryptionError(
        `This payload was encrypted with "${cipherName}", not with ${CIPHER_NAME}`,
      );
    }
    const keyId = metadataText(payload, 'encryption-key-id');
    const key = this.#key(keyId);
    const data = payload.data ?? new Uint8Array();
    if (data.length < NONCE_BYTES + TAG_BYTES) {
      throw new PayloadDecryptionError('This encrypted payload is cut short');
    }
    const decipher = createDecipheriv(CIPHER, key, data.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(authenticatedMetadata(keyId));
    decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
    try {
      const plaintext = Buffer.concat([
        decipher.update(data.subarray(NONCE_BYTES, data.length - TAG_BYTES)),
        decipher.final(),
      ]);
      return ProtoPayload.decode(plaintext);
    } catch (error) {
      throw new PayloadDecryptionError(
        `This payload does not decrypt with key "${keyId}": it was changed, or the key has another value here`,
        error,
      );
    }
  }

  #key(keyId: string): KeyObject {
    const key = this.#ring.keys.get(keyId);
    if (key === undefined) {
      const known = [...this.#ring.keys.keys()].map((id) => `"${id}"`).join(', ');
      throw new PayloadDecryptionError(
        `This payload was encrypted with key "${keyId}", which is not in PAYLOAD_KEYS (known: ${known})`,
      );
    }
    return key;
  }
}

export function isEncrypted(payload: Payload): boolean {
  return metadataText(payload, 'encoding') === ENCRYPTED_ENCODING;
}

function metadataText(payload: Payload, name: string): string {
  const value = payload.metadata?.[name];
  return value ? Buffer.from(value).toString() : '';
}

/** Bound into the tag: a payload cannot be passed off as encrypted otherwise, or with another key, than it was. */
function authenticatedMetadata(keyId: string): Buffer {
  return Buffer.from(JSON.stringify([ENCRYPTED_ENCODING, CIPHER_NAME, keyId]));
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import { clientOptions } from '../../../prisma/client-options.ts';
import { Problem } from '../../../shared/errors.ts';
import { newId } from '../../../shared/ids.ts';
import { simulatedPhoto, simulatedSignature } from '../../../simulator/pictures.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import {
  type ConfirmationKind,
  type DeliveryStatus,
  type GivenConfirmation,
  MAX_PHOTO_BYTES,
  MAX_WRONG_CONFIRMATIONS,
} from '../contract/index.ts';
import { parseRecipientSecrets, recipientAccess, recognizeToken } from '../contract/recipient.ts';
import {
  aCreation,
  pathTo,
  runningDeliveryService,
  type RunningDeliveryService,
  toStatus,
} from './support.ts';

const SECRETS: [string, string] = ['n'.repeat(32), 'o'.repeat(32)];
const POSITION = { latitude: 47.6205, longitude: -122.3493 };

let database: ServiceDatabase;
let prisma: PrismaClient;
/** Two processes, as in production. */
let one: RunningDeliveryService;
let two: RunningDeliveryService;
beforeAll(async () => {
  database = await createServiceDatabase('delivery');
  const { url } = database;
  [one, two] = await Promise.all([
    runningDeliveryService(url, { recipientSecrets: SECRETS }),
    runningDeliveryService(url, { recipientSecrets: SECRETS }),
  ]);
  prisma = new PrismaClient(clientOptions({ service: 'delivery', connectionString: url, poolSize: 1 }));
});
afterAll(async () => {
  await Promise.all([one.close(), two.close(), prisma.$disconnect()]);
  await database.drop();
});

/** A delivery whose drone is where it is. */
async function at(status: DeliveryStatus, confirmation: ConfirmationKind = 'pin') {
  const tags = ['DD-1', 'DD-2'];
  const packages = tags.map((tag) => ({
    id: newId('package'),
    size: 'small' as const,
    weight_kg: 1,
    tag,
  }));
  const { id } = await one.client.createDelivery({ body: aCreation({ confirmation, packages }) });
  for (const step of pathTo(status)) {
    await one.client.appendEvents(
      { params: { delivery_id: id }, body: { events: [toStatus(step)] } },
      { idempotencyKey: `${id}/${step}` },
    );
  }
  const { trackingToken, pin } = recipientAccess(SECRETS[0], id);
  const give = (given: GivenConfirmation, service = one) =>
    service.client.giveConfirmation({ body: { tracking_token: trackingToken, given, position: POSITION } });
  const read = () => one.client.getConfirmation({ params: { delivery_id: id } });
  const proof = () => one.client.getProof({ params: { delivery_id: id } });
  return { id, trackingToken, pin, give, read, proof };
}

const wrong = (pin: string, n = 1) => String((Number(pin) + n) % 1_000_000).padStart(6, '0');
const problemOf = (call: Promise<unknown>): Promise<Problem> =>
  call.then(
    () => expect.unreachable('it was not refused'),
    (error: unknown) => (error instanceof Problem ? error : expect.unreachable(String(error))),
  );

describe('A PIN', () => {
  it('that is right confirms, and given again, to any process, answers the same', async () => {
    const { pin, give, read, proof } = await at('arrived_at_dropoff');
    const first = await give({ pin });
    expect(first.outcome).toBe('confirmed');
    for (const service of [one, two]) expect(await give({ pin }, service)).toEqual(first);
    expect(await read()).toMatchObject({ given_by: 'recipient', attempts_left: MAX_WRONG_CONFIRMATIONS });
    expect(await proof()).toMatchObject({
      kind: 'pin',
      given_by: 'recipient',
      position: POSITION,
      image: null,
      signed_by: null,
      wrong_attempts: 0,
    });
    expect((await problemOf(give({ pin: wrong(pin) }))).reason).toBe('already_confirmed');
  });

  it('that is wrong is counted once, however often the same one is repeated', async () => {
    const { pin, give } = await at('arrived_at_dropoff');
    for (let n = 0; n < 3; n += 1)
      expect(await give({ pin: wrong(pin) })).toMatchObject({ outcome: 'wrong', attempts_left: 4 });
    expect(await give({ pin: wrong(pin, 2) })).toMatchObject({ attempts_left: 3 });
    expect(await give({ pin })).toMatchObject({ outcome: 'confirmed' });
  });

  it('twenty wrong ones at once, by two processes: five are counted, and then the right one is none either', async () => {
    const { pin, give, read, proof } = await at('arrived_at_dropoff');
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => give({ pin: wrong(pin, n + 1) }, n % 2 ? one : two)),
    );
    expect((await proof()).wrong_attempts).toBe(MAX_WRONG_CONFIRMATIONS);
    expect(await give({ pin })).toMatchObject({ outcome: 'wrong', attempts_left: 0 });
    expect(await read()).toEqual({ confirmed_at: null, given_by: null, attempts_left: 0 });
  });

  it('right and wrong at once: it is confirmed or it is not, and everybody hears the same', async () => {
    const { pin, give, read } = await at('arrived_at_dropoff');
    const answers = await Promise.all([give({ pin }), give({ pin }, two), give({ pin }), give({ pin }, two)]);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect((await read()).confirmed_at).not.toBeNull();
  });

  it('is in no table, neither as it is nor as anything that it could be guessed from', async () => {
    const { id, pin, give } = await at('arrived_at_dropoff');
    await give({ pin: wrong(pin) });
    await give({ pin });
    const rows = await prisma.$queryRaw<{ row: string }[]>`
      SELECT row_to_json(c)::text AS row FROM confirmations c WHERE delivery_id = ${id}
      UNION ALL SELECT row_to_json(d)::text FROM deliveries d WHERE id = ${id}
      UNION ALL SELECT row_to_json(e)::text FROM delivery_events e WHERE delivery_id = ${id}`;
    expect(rows.length).toBeGreaterThan(5);
    for (const { row } of rows) {
      for (const secret of [pin, wrong(pin)]) {
        // Not by chance within a digest.
        expect(row).not.toMatch(new RegExp(`(?<![0-9a-f])${secret}(?![0-9a-f])`));
      }
    }
  });

  it.each(['created', 'enroute_to_dropoff', 'enroute_to_return', 'returned', 'delivered'] as const)(
    'is not asked for while the delivery is %s, and no try is lost',
    async (status) => {
      const { pin, give, read } = await at(status);
      for (const given of [{ pin }, { pin: wrong(pin) }])
        expect(await problemOf(give(given))).toMatchObject({ status: 409, reason: 'not_awaited' });
      expect((await read()).attempts_left).toBe(MAX_WRONG_CONFIRMATIONS);
    },
  );
});

describe('What is not asked for', () => {
  it('is refused with what is', async () => {
    const { give, read } = await at('arrived_at_dropoff', 'signature');
    const problem = await problemOf(give({ pin: '123456' }));
    expect(problem).toMatchObject({ status: 422, reason: 'wrong_kind' });
    expect(problem.errors?.[0]?.field).toBe('pin');
    expect((await read()).attempts_left).toBe(MAX_WRONG_CONFIRMATIONS);
  });

  it.each([
    ['none', 'not_required'],
    ['photo', 'given_by_drone'],
  ] as const)('with confirmation %s nobody can confirm: %s', async (kind, reason) => {
    const { give } = await at('arrived_at_dropoff', kind);
    expect((await problemOf(give({ pin: '123456' }))).reason).toBe(reason);
  });
});

describe('A signature', () => {
  const signature = { ...simulatedSignature('R'), signed_by: 'R. Recipient' };

  it('is kept with its image, time and place, and can be looked at', async () => {
    const { id, give, proof } = await at('arrived_at_dropoff', 'signature');
    const { outcome } = await give({ signature });
    expect(outcome).toBe('confirmed');
    expect(await give({ signature })).toMatchObject({ outcome: 'confirmed' });
    const bytes = Buffer.from(signature.data, 'base64');
    expect(await proof()).toMatchObject({
      signed_by: 'R. Recipient',
      position: POSITION,
      image: { content_type: 'image/png', size_bytes: bytes.length },
    });
    const image = await two.client.getProofImage({ params: { delivery_id: id } });
    expect(image).toEqual({ content_type: 'image/png', data: signature.data });
    const other = { ...simulatedSignature('X'), signed_by: 'X' };
    expect((await problemOf(give({ signature: other }))).reason).toBe('already_confirmed');
  });

  it.each([
    [
      'bytes of another kind',
      { content_type: 'image/jpeg' as const, data: signature.data },
      'signature.data',
    ],
    [
      'a page with a script',
      { content_type: 'image/png' as const, data: btoa('<script>alert(1)</script>!!') },
      'signature.data',
    ],
  ])('of %s is refused', async (_what, image, field) => {
    const { give } = await at('arrived_at_dropoff', 'signature');
    const problem = await problemOf(give({ signature: { ...signature, ...image } }));
    expect(problem).toMatchObject({ status: 400 });
    expect(problem.errors?.[0]?.field).toBe(field);
  });

  it('that was given stays as it was, whoever writes; erasing it is allowed', async () => {
    const { id, give, proof } = await at('arrived_at_dropoff', 'signature');
    await give({ signature });
    for (const change of [
      "digest = 'x'",
      'confirmed_at = now()',
      "image = 'x'::bytea",
      "wrong_digests = '{a}'",
    ])
      await expect(
        prisma.$executeRawUnsafe(`UPDATE confirmations SET ${change} WHERE delivery_id = '${id}'`),
      ).rejects.toThrow(/what happened stays/);
    await prisma.$executeRaw`UPDATE confirmations SET image = NULL, signed_by = NULL WHERE delivery_id = ${id}`;
    expect(await proof()).toMatchObject({ given_by: 'recipient', signed_by: null, image: null });
    expect(await problemOf(one.client.getProofImage({ params: { delivery_id: id } }))).toMatchObject({
      status: 404,
    });
  });
});

describe('The database, whoever writes', () => {
  const keep = async (kept: { digests?: number; imageBytes?: number }) => {
    const { id } = await at('arrived_at_dropoff');
    const digests = Array.from({ length: kept.digests ?? 0 }, (_, index) => `digest ${index}`);
    const image = kept.imageBytes === undefined ? null : Buffer.alloc(kept.imageBytes);
    return prisma.$executeRaw`
      INSERT INTO confirmations (delivery_id, account_id, livemode, kind, wrong_digests, image)
      SELECT id, account_id, livemode, 'pin', ${digests}, ${image} FROM deliveries WHERE id = ${id}`;
  };

  it('keeps as many wrong tries as there are, and no more', async () => {
    expect(await keep({ digests: MAX_WRONG_CONFIRMATIONS })).toBe(1);
    await expect(keep({ digests: MAX_WRONG_CONFIRMATIONS + 1 })).rejects.toThrow('confirmations_tries');
  });

  it('keeps an image as large as a photo may be, and none beyond', async () => {
    expect(await keep({ imageBytes: MAX_PHOTO_BYTES })).toBe(1);
    await expect(keep({ imageBytes: MAX_PHOTO_BYTES + 1 })).rejects.toThrow('confirmations_image');
  });
});

describe('Barcodes', () => {
  it('are those of all packages, in any order; anything else is a wrong try', async () => {
    const { give } = await at('arrived_at_dropoff', 'barcode');
    expect(await give({ barcodes: ['DD-1'] })).toMatchObject({ outcome: 'wrong', attempts_left: 4 });
    expect(await give({ barcodes: ['DD-1', 'DD-1'] })).toMatchObject({ outcome: 'wrong', attempts_left: 3 });
    const first = await give({ barcodes: ['DD-2', 'DD-1'] });
    expect(first).toMatchObject({ outcome: 'confirmed' });
    expect(await give({ barcodes: ['DD-1', 'DD-2'] })).toEqual(first);
  });
});

describe('A photo', () => {
  const photo = simulatedPhoto('doorstep');
  const keep = (id: Parameters<typeof recipientAccess>[1], image = photo, service = one) =>
    service.client.keepPhoto({
      params: { delivery_id: id },
      body: { photo: image, taken_at: '2026-03-01T12:09:10Z', position: POSITION },
    });

  it('is the drone’s, and the first one stays', async () => {
    const { id, proof } = await at('enroute_to_dropoff', 'photo');
    expect(await keep(id)).toEqual({ outcome: 'stored' });
    expect(await keep(id, simulatedPhoto('another'), two)).toEqual({ outcome: 'duplicate' });
    expect(await proof()).toMatchObject({
      given_by: 'drone',
      confirmed_at: '2026-03-01T12:09:10.000Z',
      position: POSITION,
    });
    expect((await one.client.getProofImage({ params: { delivery_id: id } })).data).toBe(photo.data);
  });

  it('is not taken where none was asked for, nor after the end, nor too large', async () => {
    const [pin, late, big] = [
      await at('arrived_at_dropoff'),
      await at('delivered', 'photo'),
      await at('arrived_at_dropoff', 'photo'),
    ];
    expect((await problemOf(keep(pin.id))).reason).toBe('not_required');
    expect((await problemOf(keep(late.id))).reason).toBe('already_delivered');
    const head = Buffer.from(photo.data, 'base64');
    const fits = Buffer.concat([head, Buffer.alloc(MAX_PHOTO_BYTES - head.length)]);
    const image = (bytes: Buffer) => ({ ...photo, data: bytes.toString('base64') });
    expect(await problemOf(keep(big.id, image(Buffer.concat([fits, Buffer.alloc(3)]))))).toMatchObject({
      status: 400,
    });
    expect(await keep(big.id, image(fits))).toEqual({ outcome: 'stored' });
  });
});

describe('A tracking token', () => {
  it('leads to its delivery, also when it was made with an older secret', async () => {
    const { id } = await at('arrived_at_dropoff');
    for (const secret of SECRETS) {
      const { trackingToken, pin } = recipientAccess(secret, id);
      const { delivery } = await one.client.track({ body: { tracking_token: trackingToken } });
      expect(delivery.id).toBe(id);
      const body = { tracking_token: trackingToken, given: { pin: wrong(pin) }, position: null };
      expect(await one.client.giveConfirmation({ body })).toMatchObject({ outcome: 'wrong' });
    }
  });

  it('that we have not made is answered like one whose delivery is not there', async () => {
    const { id, trackingToken } = await at('arrived_at_dropoff');
    const flipped = trackingToken.slice(0, -2) + (trackingToken.endsWith('AA') ? 'BB' : 'AA');
    const strange = recipientAccess('x'.repeat(32), id).trackingToken;
    const nowhere = recipientAccess(SECRETS[0], newId('delivery')).trackingToken;
    const answers = await Promise.all(
      [flipped, strange, nowhere, 'trk_', '', '../../x'].map((tracking_token) =>
        problemOf(one.client.track({ body: { tracking_token } })),
      ),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(404);
      expect(answer.detail).toBe(answers[0]?.detail);
    }
  });

  it('and the PIN tell nothing of each other, and are others for each delivery and secret', () => {
    const ids = Array.from({ length: 200 }, () => newId('delivery'));
    const all = ids.flatMap((id) => SECRETS.map((secret) => recipientAccess(secret, id)));
    expect(new Set(all.map((access) => access.trackingToken)).size).toBe(400);
    expect(new Set(all.map((access) => access.pin)).size).toBeGreaterThan(390);
    for (const { trackingToken, pin } of all) {
      expect(pin).toMatch(/^\d{6}$/);
      expect(recognizeToken(SECRETS, trackingToken)).toBeDefined();
    }
  });

  it('needs secrets that cannot be guessed', () => {
    expect(parseRecipientSecrets(SECRETS.join(','))).toEqual(SECRETS);
    for (const text of ['', 'short', `${SECRETS[0]},`, `${SECRETS[0]},short`])
      expect(() => parseRecipientSecrets(text)).toThrow(RangeError);
  });
});

describe('The delivery', () => {
  it('says how far its confirmation is, from the request to the end', async () => {
    const { id } = await at('arrived_at_dropoff');
    const delivery = () => one.client.getDelivery({ params: { delivery_id: id } });
    const append = (key: string, event: ReturnType<typeof toStatus>) =>
      one.client.appendEvents(
        { params: { delivery_id: id }, body: { events: [event] } },
        { idempotencyKey: `${id}/${key}` },
      );
    expect(await delivery()).toMatchObject({ confirmation_status: 'pending', confirmation_due_at: null });
    const due = '2026-03-01T13:00:00+01:00';
    await append('wait', {
      type: 'delivery.noted',
      occurred_at: due,
      patch: { confirmation_status: 'awaited', confirmation_due_at: due },
    });
    expect(await delivery()).toMatchObject({
      confirmation_status: 'awaited',
      confirmation_due_at: '2026-03-01T12:00:00.000Z',
    });
    await append('return', toStatus('enroute_to_return'));
    expect(await delivery()).toMatchObject({ confirmation_status: 'not_given', confirmation_due_at: null });
  });

  it('that needs none says so all along', async () => {
    const { id } = await at('delivered', 'none');
    const read = await one.client.getDelivery({ params: { delivery_id: id } });
    expect(read.confirmation_status).toBe('not_required');
  });

  it('whose recipient an operator helps: the timeline says who looked and why, once', async () => {
    const { id, trackingToken, pin } = await at('enroute_to_dropoff');
    const show = () =>
      one.client.showRecipientAccess(
        { params: { delivery_id: id }, body: { by: 'operator:jo', why: 'the recipient called' } },
        { idempotencyKey: `${id}/shown/1` },
      );
    expect(await show()).toEqual({ tracking_token: trackingToken, pin });
    await show();
    const { data } = await one.client.listEvents({ params: { delivery_id: id }, query: {} });
    const shown = data.filter((event) => event.type === 'delivery.recipient_access_shown');
    expect(shown.map((event) => event.data)).toEqual([{ by: 'operator:jo', why: 'the recipient called' }]);
  });
});

/** `/v1/deliveries/{id}/proof`, and what only a recipient is sent, for those who may see it. */
import { hash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { Problem } from '../../shared/errors.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { proofImage, proofOperations, type RecipientAccess } from '../contract/proof.ts';
import type { DeliveryReader } from '../delivery-reader.ts';
import { implementPublic, routeOf } from '../operation.ts';
import type { Services } from '../services.ts';

export interface ProofRoutesOptions {
  services: Pick<Services, 'delivery'>;
  reader: DeliveryReader;
}

export function proofRoutes(
  app: FastifyInstance,
  { services: { delivery }, reader }: ProofRoutesOptions,
): void {
  implementPublic(app, proofOperations, {
    async getProof({ params }, { principal }) {
      await reader.read(principal, params.delivery_id);
      return delivery.getProof({ params });
    },

    async getTestRecipient({ params }, { principal }) {
      if (principal.livemode) {
        throw new Problem('forbidden', {
          detail: 'This is for test keys: whoever sends a package cannot confirm it.',
        });
      }
      await reader.read(principal, params.delivery_id);
      return shown(params.delivery_id, await delivery.getRecipientAccess({ params }));
    },

    async showRecipientAccess({ params, body }, { principal, idempotencyKey }) {
      const { id } = await reader.read(principal, params.delivery_id);
      const key = hash('sha256', `${principal.key_id}/${idempotencyKey ?? ''}`, 'hex');
      const access = await delivery.showRecipientAccess(
        { params, body: { by: `operator:${principal.key_id}`, why: body.why } },
        { idempotencyKey: `${id}/recipient_access/${key}` },
      );
      return shown(id, access);
    },
  });

  app.route<{ Params: { delivery_id: DeliveryId } }>({
    ...routeOf('getProofImage', proofImage.getProofImage),
    handler: async ({ params, principal }, reply) => {
      await reader.read(principal, params.delivery_id);
      const { content_type, data } = await delivery.getProofImage({ params });
      const bytes = Buffer.from(data, 'base64');
      return reply
        .header('etag', `"${hash('sha256', bytes, 'hex')}"`)
        .header('cache-control', 'private, no-cache')
        .header('content-disposition', 'inline; filename="proof"')
        .type(content_type)
        .send(bytes);
    },
  });
}

function shown(
  delivery_id: DeliveryId,
  access: { tracking_token: string; pin: string | null },
): RecipientAccess {
  return { object: 'recipient_access', delivery_id, ...access };
}

import type { accountContract } from '../services/account/contract/index.ts';
import type { Client } from '../shared/http/client.ts';
import type { BodyOf, Output } from '../shared/http/contract.ts';
import { callService, type Keyed } from './call.ts';

type Contract = typeof accountContract;

/** Steps at the account service: credit is authorized, renewed while a delivery waits, then captured or voided; what was lost is credited. */
export function accountActivities(account: Client<Contract>) {
  return {
    authorize: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'authorize'>): Promise<Output<Contract['authorize']>> =>
      callService(key, (options) => account.authorize({ body }, options)),

    renewAuthorization: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'renewAuthorization'>): Promise<Output<Contract['renewAuthorization']>> =>
      callService(key, (options) => account.renewAuthorization({ body }, options)),

    capture: ({ key, ...body }: Keyed & BodyOf<Contract, 'capture'>): Promise<Output<Contract['capture']>> =>
      callService(key, (options) => account.capture({ body }, options)),

    issueCreditNote: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'issueCreditNote'>): Promise<Output<Contract['issueCreditNote']>> =>
      callService(key, (options) => account.issueCreditNote({ body }, options)),

    voidAuthorization: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'voidAuthorization'>): Promise<Output<Contract['voidAuthorization']>> =>
      callService(key, (options) => account.voidAuthorization({ body }, options)),
  };
}

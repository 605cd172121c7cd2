import type { packageContract } from '../services/package/contract/index.ts';
import type { Client } from '../shared/http/client.ts';
import type { BodyOf, Output } from '../shared/http/contract.ts';
import { callService, type Keyed } from './call.ts';

type Contract = typeof packageContract;

/** Steps at the package service. */
export function packageActivities(packages: Client<Contract>) {
  return {
    registerPackages: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'registerPackages'>): Promise<Output<Contract['registerPackages']>> =>
      callService(key, (options) => packages.registerPackages({ body }, options)),

    voidPackages: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'voidPackages'>): Promise<Output<Contract['voidPackages']>> =>
      callService(key, (options) => packages.voidPackages({ body }, options)),
  };
}

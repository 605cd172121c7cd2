/**
 * A service's contract as data: for each operation its route and the schemas of what goes in and comes out. The server side
 * (`implement`) and the typed client (`createClient`) are both made from it, so they cannot drift apart.
 */
import { type Static, type TSchema } from 'typebox';

export interface OperationSpec {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Fastify's form: `/accounts/:account_id`. */
  path: string;
  summary: string;
  description?: string;
  params?: TSchema;
  query?: TSchema;
  body?: TSchema;
  response: TSchema;
  /** Status of success; 200 unless told. */
  status?: 200 | 201 | 202;
  /** A write that takes an `Idempotency-Key` header, and requires it. */
  idempotent?: boolean;
}

export type Contract = Record<string, OperationSpec>;

type PartOf<S extends OperationSpec, K extends 'params' | 'query' | 'body'> = S[K] extends TSchema
  ? { [P in K]: Static<S[K]> }
  : unknown;

/** What an operation is called with. */
export type Input<S extends OperationSpec> = PartOf<S, 'params'> & PartOf<S, 'query'> & PartOf<S, 'body'>;
/** What an operation answers. */
export type Output<S extends OperationSpec> = Static<S['response']>;

/** Keeps the literal types of the operations. */
export const defineContract = <const C extends Contract>(contract: C): C => contract;
/** The body that operation `K` of a contract takes. */
export type BodyOf<C extends Contract, K extends keyof C> = Input<C[K]> extends { body: infer B } ? B : never;

/** The project's workflows, and mutants: a delivery whose external id is `without:<kind>` never registers that compensation. */
import { Compensations } from '../../../workflows/delivery/compensation.ts';
import * as project from '../../../workflows/index.ts';

export * from '../../../workflows/index.ts';

export const MUTANT = 'without:';
let removed: string | undefined;

export function delivery(...args: Parameters<typeof project.delivery>): ReturnType<typeof project.delivery> {
  const [{ externalId }] = args;
  removed = externalId?.startsWith(MUTANT) === true ? externalId.slice(MUTANT.length) : undefined;
  return project.delivery(...args);
}

// Every workflow has its own copy of its modules.
// eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with its object below
const { register } = Compensations.prototype;
Compensations.prototype.register = function (compensation) {
  if (compensation.undo.kind !== removed) register.call(this, compensation);
};

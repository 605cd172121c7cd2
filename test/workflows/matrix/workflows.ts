/** The project's workflows, and mutants: a delivery whose external id is `without:<kind>:<step>` (`*`: of any) never registers that compensation of that step. */
import { Compensations } from '../../../workflows/delivery/compensation.ts';
import * as project from '../../../workflows/index.ts';

export * from '../../../workflows/index.ts';

export const MUTANT = 'without:';
let removed: { kind: string; step: string } | undefined;

export function delivery(...args: Parameters<typeof project.delivery>): ReturnType<typeof project.delivery> {
  const [{ externalId }] = args;
  const [, kind = '', step = ''] = externalId?.startsWith(MUTANT) === true ? externalId.split(':') : [];
  removed = kind === '' ? undefined : { kind, step };
  return project.delivery(...args);
}

// Every workflow has its own copy of its modules.
// eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with its object below
const { register } = Compensations.prototype;
Compensations.prototype.register = function (compensation) {
  const { undo } = compensation;
  // Whatever it calls it: the key of the step that it undoes.
  const isRemoved =
    undo.kind === removed?.kind &&
    (removed.step === '*' || JSON.stringify(undo).includes(`/${removed.step}"`));
  if (!isRemoved) register.call(this, compensation);
};

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DeliveryRecord } from '../../workflows/delivery/record.ts';
import type { DeliveryInput } from '../../workflows/messages.ts';
import {
  checkAbort,
  checkCancel,
  checkConfirm,
  checkChangeDropoff,
  checkReassignDrone,
  checkRescheduleForm,
  checkResolveIntervention,
  checkRetryCompensation,
} from '../../workflows/delivery/commands.ts';

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');

/** The first JSON block after the update's name at the beginning of a line. */
function documented(update: string): unknown {
  const [, block] = new RegExp(`^\`${update}\`[^]*?\`\`\`json\n([^]*?)\`\`\``, 'm').exec(page) ?? [];
  if (block === undefined) throw new Error(`docs/operations.md has no payload of ${update}`);
  return JSON.parse(block);
}

const answers = [
  { answer: 'retry', effect: '' },
  { answer: 'done', effect: '' },
];
/** One with the intervention of the page open. */
const record = {
  state: { openInterventions: [] },
  intervention: (id: string) => ({ id, kind: 'compensation:void_packages', reason: '', answers }),
} as unknown as DeliveryRecord;

/** A delivery from somewhere else. */
const input = { pickup: { location: { latitude: 47.6, longitude: -122.1 } } } as unknown as DeliveryInput;

const CHECKS: Record<string, (command: unknown) => void> = {
  cancel: checkCancel,
  reschedule: checkRescheduleForm,
  changeDropoff: (command) => checkChangeDropoff(input, command),
  reassignDrone: checkReassignDrone,
  abort: checkAbort,
  confirm: checkConfirm,
  resolveIntervention: (command) => checkResolveIntervention(record, command),
  retryCompensation: (command) => checkRetryCompensation(record, command),
};

describe('The payload in docs/operations.md', () => {
  it.each(Object.keys(CHECKS))('of %s is right, and without any of its fields it is not', (update) => {
    const payload = documented(update) as Record<string, unknown>;
    const check = CHECKS[update] ?? expect.unreachable();
    expect(() => check(payload)).not.toThrow();
    const optional = { cancel: ['why'], reassignDrone: ['excludePresent'] }[update] ?? [];
    for (const field of Object.keys(payload)) {
      const without = Object.fromEntries(Object.entries(payload).filter(([name]) => name !== field));
      if (optional.includes(field)) expect(() => check(without), field).not.toThrow();
      else expect(() => check(without), field).toThrow(`${field} must`);
    }
  });
});

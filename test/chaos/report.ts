/** What a run came to, for a person: figures when all is well, and the story of every delivery that is not. */
import { describeFault, type Fault, type History } from '../checker/index.ts';
import { describePlan } from './plan.ts';
import { describeShown, shownIn } from './shown.ts';
import type { ChaosReport } from './outcome.ts';

/** More stories than this help nobody. */
const STORIES = 10;

/** Everything was as it must be. */
export function isSound({ faults, surprises, unsettled, replayed }: ChaosReport): boolean {
  return (
    faults.length === 0 && surprises.length === 0 && unsettled === undefined && replayed.errors.length === 0
  );
}

export function describeRun(report: ChaosReport): string {
  const { history, strikes, statuses, plan } = report;
  const outcomes = new Map<string, number>();
  for (const { status, failure_reason } of history.deliveries) {
    const outcome = failure_reason === null ? status : `${status} (${failure_reason})`;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  const replaced = history.deliveries.filter(({ attempt }) => attempt > 1).length;
  const { kill, stop, cut, stall } = strikes.done;
  return [
    `${history.accepted.length} of ${plan.requests.length} requests were accepted, ${report.refused} refused as they had to be`,
    `they ended: ${list(outcomes)}; ${replaced} had more than one drone`,
    `${kill} kills, ${stop} stops, ${cut} cuts, ${stall} stalls, ${strikes.amidWork} of them while ten deliveries or more were under way; ${strikes.failedStarts} starts had to be repeated; ${report.crashes.length} roles ended by themselves`,
    `callers were answered: ${list(new Map(Object.entries(statuses)))}`,
    `they were asked for: ${list(ordersOf(history)) || 'nothing'}`,
    `it came to pass: ${describeShown(shownIn(history))}`,
    `${history.events.length} events; streams broke off ${report.streamBreaks} times; operators fetched ${report.operator.fetched} drones and settled ${report.operator.settled} cases${report.operator.refusals.size === 0 ? '' : `, and were refused: ${list(report.operator.refusals)}`}`,
    `the histories of ${report.replayed.deliveries} runs of deliveries and ${report.replayed.others} others were replayed, ${report.replayed.errors.length} did not`,
    `posting and breaking took ${seconds(report.postingMs)}, settling ${seconds(report.settlingMs)}, all ${seconds(report.totalMs)}`,
  ].join('\n');
}

/** All that there is to say of a run, sound or not. */
export function fullReport(report: ChaosReport): string {
  return [
    describeRun(report),
    '',
    isSound(report)
      ? 'Nothing is wrong: every accepted delivery has ended once, and nothing is held.'
      : describeFaults(report),
    ...(isSound(report) ? [again(report)] : []),
  ].join('\n');
}

/** The command that runs the same plan again. */
function again({ options }: ChaosReport): string {
  const { seed, deliveries, kills, ratePerS, clockRate, settleWithinMs, spared } = options;
  return `again: npm run chaos -- --seed ${seed} --deliveries ${deliveries} --kills ${kills} --rate ${ratePerS} --clock-rate ${clockRate} --settle ${settleWithinMs / 1_000}${spared.length > 0 ? ` --spared ${spared.join(' ')}` : ''}`;
}

/**
 * Empty for a sound run; else all that somebody needs to find the cause: what is wrong first, since a long text may be cut;
 * then the stories, the plan, the logs and how to run it again.
 */
export function describeFaults(report: ChaosReport): string {
  if (isSound(report)) return '';
  const { faults, surprises, unsettled, waiting, replayed, history, crashes, options } = report;
  const concerned = [...new Set(faults.flatMap(({ deliveryId }) => deliveryId ?? []))];
  return [
    ...(unsettled === undefined
      ? []
      : [`✗ it did not settle within ${seconds(options.settleWithinMs)}: ${unsettled}`]),
    ...surprises.map((what) => `✗ ${what}`),
    ...replayed.errors.map((what) => `✗ ${what}`),
    ...faults.map((fault) => `✗ ${describeFault(fault)}`),
    ...crashes.map((what) => `  ${what}`),
    '',
    ...waiting,
    ...concerned.slice(0, STORIES).map((id) => storyOf(id, history, faults)),
    ...(concerned.length > STORIES ? [`… and ${concerned.length - STORIES} more deliveries`] : []),
    describePlan(report.plan),
    '',
    `logs: ${report.logs}`,
    again(report),
  ].join('\n');
}

/** All that is known of one delivery, in the order of the time. */
export function storyOf(id: string, history: History, faults: readonly Fault[]): string {
  const is = (one: { delivery_id: string }) => one.delivery_id === id;
  const lines: [at: string, what: string][] = [
    ...history.events
      .filter(is)
      .map(({ occurred_at, sequence, type, status, data }): [string, string] => [
        occurred_at,
        `event ${sequence} ${type} (${status}) ${JSON.stringify(data)}`,
      ]),
    ...history.reservations
      .filter(is)
      .flatMap(
        ({
          id: reservation,
          step_key,
          drone_id,
          token,
          state,
          loading,
          created_at,
          ended_at,
        }): [string, string][] => [
          [
            created_at,
            `${reservation} of ${drone_id}, token ${token}, by ${step_key}: ${state}, loading ${loading}`,
          ],
          ...(ended_at === null ? [] : [[ended_at, `${reservation} ends`] as [string, string]]),
        ],
      ),
    ...history.milestones
      .filter(({ deliveryId }) => deliveryId === id)
      .map(({ occurredAt, kind, droneId, reservationId }): [string, string] => [
        occurredAt,
        `milestone ${kind} of ${droneId} for ${reservationId}`,
      ]),
    ...history.authorizations
      .filter(is)
      .map(({ created_at, step_key, state, amount, captured }): [string, string] => [
        created_at,
        `authorization by ${step_key}: ${state}, ${amount.amount}, captured ${captured?.amount ?? 'nothing'}`,
      ]),
    ...history.packages
      .filter(is)
      .map(({ created_at, id: packageId, state }): [string, string] => [
        created_at,
        `${packageId}: ${state}`,
      ]),
    ...history.bookings
      .filter(is)
      .map(({ created_at, id: booking, state }): [string, string] => [created_at, `${booking}: ${state}`]),
  ];
  const request = history.accepted.find(({ answers }) => answers.includes(id));
  const runs = (history.workflows ?? []).filter(({ deliveryId }) => deliveryId === id);
  return [
    `${id}, asked for by ${request?.key ?? 'nobody'}${(request?.orders ?? []).map(({ kind, answer }) => `, ${kind.replace('_', ' ')} ${answer}`).join('')}, workflow ${runs.map(({ status, runId }) => `${status} ${runId}`).join(', ') || 'none'}`,
    ...faults.filter(({ deliveryId }) => deliveryId === id).map((fault) => `  ✗ ${describeFault(fault)}`),
    ...lines.toSorted(([a], [b]) => Date.parse(a) - Date.parse(b)).map(([at, what]) => `  ${at}  ${what}`),
    '',
  ].join('\n');
}

/** What was asked for after the accept, with its answer: how often. */
function ordersOf({ accepted }: History): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { kind, answer } of accepted.flatMap(({ orders = [] }) => orders)) {
    const what = `${kind.replace('_', ' ')} ${answer}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return counts;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(0)} s`;

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
}

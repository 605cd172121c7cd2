/** A line now and then, so that a person who waits for hours sees that it goes on. */

export interface Counts {
  planned: number;
  accepted: number;
  refused: number;
  ended: number;
  acts: number;
  actsDone: number;
  /** Of interventions, by people. */
  settled: number;
  /** Drones. */
  fetched: number;
}

export class Progress {
  readonly #say: (what: string) => void;
  readonly #count: () => Counts;
  readonly #begunMs = Date.now();
  readonly #timer: NodeJS.Timeout;
  #missing: string | undefined;

  constructor({
    everyMs,
    say,
    count,
  }: {
    everyMs: number;
    say: (what: string) => void;
    count: () => Counts;
  }) {
    this.#say = say;
    this.#count = count;
    this.#timer = setInterval(() => this.say(describeCounts(count(), this.#missing)), everyMs);
    this.#timer.unref();
  }

  /** With the time since the beginning. */
  say(what: string): void {
    const seconds = (Date.now() - this.#begunMs) / 1_000;
    this.#say(`${seconds.toFixed(1).padStart(7)} s  ${what}`);
  }

  /** What the run still waits for: part of the next line. */
  missing(what: string): void {
    this.#missing = what;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.say(describeCounts(this.#count()));
  }
}

export function describeCounts(counts: Counts, missing?: string): string {
  const { planned, accepted, refused, ended, acts, actsDone, settled, fetched } = counts;
  return [
    `${accepted + refused} of ${planned} answered, ${ended} ended, ${Math.max(0, accepted - ended)} under way`,
    `${actsDone} of ${acts} acts`,
    `${settled} cases settled, ${fetched} drones fetched`,
    ...(missing === undefined ? [] : [missing]),
  ].join('; ');
}

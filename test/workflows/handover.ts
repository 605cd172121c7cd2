/**
 * The moment at which one run of a workflow ends and the next begins. What a delivery is asked before the server has heard that the run
 * ends, that run takes, and ends later; what it is asked then, the next one has from its first task on.
 */
import type { Payload, PayloadCodec } from '@temporalio/common';

/** What a run hands to the next: its input, and what it carries. Nothing else in the lab is encoded or decoded by two. */
const HANDED_OVER = 2;

/** Whoever comes here waits until it is open. */
class Gate {
  private open_: () => void = () => undefined;
  private reached_: () => void = () => undefined;
  readonly reached = new Promise<void>((reached) => (this.reached_ = reached));
  private readonly opened = new Promise<void>((open) => (this.open_ = open));

  open(): void {
    this.open_();
  }

  async pass(): Promise<void> {
    this.reached_();
    await this.opened;
  }
}

/** A codec of a worker that changes nothing, and can keep what is handed over on both sides. No virtual time passes meanwhile. */
export class Handover implements PayloadCodec {
  private ending = new Gate();
  private beginning = new Gate();
  private isKept = false;

  /** Keeps the next one. Resolves when a run has decided to end, which the server hears when `goOn` is called. */
  keepNext(): Promise<void> {
    this.ending = new Gate();
    this.beginning = new Gate();
    this.isKept = true;
    return this.ending.reached;
  }

  /** Lets the run end. Resolves when the next one is there, and its worker has its first task, which waits for `letGo`. */
  goOn(): Promise<void> {
    this.ending.open();
    return this.beginning.reached;
  }

  letGo(): void {
    this.isKept = false;
    this.ending.open();
    this.beginning.open();
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    if (this.isKept && payloads.length === HANDED_OVER) await this.ending.pass();
    return payloads;
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    if (this.isKept && payloads.length === HANDED_OVER) await this.beginning.pass();
    return payloads;
  }
}

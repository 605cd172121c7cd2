/**
 * Makes one call of many: what comes while a call is under way goes together into the next. Alone it waits for nothing, so
 * batches grow only as fast as the callee is slow.
 */

export interface BatcherOptions<In, Out> {
  /** Answers every item, at its place. An error as an answer concerns that item alone; a throw concerns all. */
  run: (items: In[]) => Promise<(Out | Error)[]>;
  maxItems: number;
  /** Calls under way at once. */
  concurrency: number;
}

interface Waiting<In, Out> {
  item: In;
  resolve: (answer: Out) => void;
  reject: (error: unknown) => void;
}

export class Batcher<In, Out> {
  readonly #options: BatcherOptions<In, Out>;
  #queue: Waiting<In, Out>[] = [];
  #underWay = 0;
  #scheduled = false;

  constructor(options: BatcherOptions<In, Out>) {
    this.#options = options;
  }

  /** Items that wait for a call. */
  get waiting(): number {
    return this.#queue.length;
  }

  add(item: In): Promise<Out> {
    return new Promise<Out>((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      if (this.#scheduled || this.#underWay >= this.#options.concurrency) return;
      this.#scheduled = true;
      // After the requests that are being read in this turn, so that those of a burst go together from the start.
      setImmediate(() => {
        this.#scheduled = false;
        this.#flush();
      });
    });
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#underWay < this.#options.concurrency) {
      const batch = this.#queue.splice(0, this.#options.maxItems);
      this.#underWay += 1;
      void this.#run(batch).finally(() => {
        this.#underWay -= 1;
        this.#flush();
      });
    }
  }

  async #run(batch: Waiting<In, Out>[]): Promise<void> {
    try {
      const answers = await this.#options.run(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const answer = answers[index];
        if (answer instanceof Error) reject(answer);
        else if (index >= answers.length) reject(new Error('The batch left an item without an answer'));
        else resolve(answer as Out);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/** Chance that follows from a text alone: the same on every machine. */
import { createHash } from 'node:crypto';

/** Numbers that follow from a text; a stream of its own for each purpose, so that one does not shift the others. */
export class Dice {
  readonly #text: string;
  #drawn = 0;

  constructor(text: string) {
    this.#text = text;
  }

  for(purpose: string): Dice {
    return new Dice(`${this.#text}/${purpose}`);
  }

  /** In [0, 1). */
  fraction(): number {
    this.#drawn += 1;
    return createHash('sha256').update(`${this.#text}#${this.#drawn}`).digest().readUIntBE(0, 6) / 2 ** 48;
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  /** Fisher and Yates. */
  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let last = all.length - 1; last > 0; last -= 1) {
      const other = this.between(0, last);
      [all[last], all[other]] = [all[other] as T, all[last] as T];
    }
    return all;
  }

  /** Draws one after the other from a shuffled deck, which is shuffled again once it is used up: nobody is left out for long. */
  dealer<T>(items: readonly T[]): () => T {
    let deck: T[] = [];
    return () => {
      if (deck.length === 0) deck = this.shuffled(items);
      const card = deck.pop();
      if (card === undefined) throw new Error('There is nothing to draw from');
      return card;
    };
  }
}

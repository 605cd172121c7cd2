/** Who listens to what: listeners by topic. */

export class Subscribers<Topic, Message> {
  readonly #byTopic = new Map<Topic, Set<(message: Message) => void>>();

  /** Topics that somebody listens to. */
  get size(): number {
    return this.#byTopic.size;
  }

  topics(): Topic[] {
    return [...this.#byTopic.keys()];
  }

  /** Returns how to stop listening; to stop twice does nothing. */
  add(topic: Topic, listener: (message: Message) => void): () => void {
    const listeners = this.#byTopic.get(topic) ?? new Set();
    this.#byTopic.set(topic, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#byTopic.get(topic) === listeners) this.#byTopic.delete(topic);
    };
  }

  publish(topic: Topic, message: Message): void {
    for (const listener of this.#byTopic.get(topic) ?? []) listener(message);
  }
}

/**
 * The network between the roles and what they call: one small TCP relay for each link, which can be cut and stalled. It carries
 * bytes and knows nothing of what they mean.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

const LOOPBACK = '127.0.0.1';

export class LinkProxy {
  readonly name: string;
  readonly #target: { host: string; port: number };
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #isRefusing = false;
  #isStalled = false;
  /** Connections that were carried since the start. */
  carried = 0;

  private constructor(name: string, target: { host: string; port: number }) {
    this.name = name;
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (incoming) => this.#carry(incoming));
  }

  /** Listens on a free port of the loopback interface. */
  static async open(name: string, target: { host: string; port: number }): Promise<LinkProxy> {
    const proxy = new LinkProxy(name, target);
    proxy.#server.listen(0, LOOPBACK);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** `host:port` to connect to instead of the target. */
  get address(): string {
    return `${LOOPBACK}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends every connection at once, as a cable that is pulled; with `refuse`, new ones too until `mend`. */
  cut({ refuse }: { refuse: boolean }): void {
    this.#isRefusing = refuse;
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Connections stay, and nothing goes through them until `mend`. */
  stall(): void {
    this.#isStalled = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  mend(): void {
    this.#isRefusing = false;
    this.#isStalled = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut({ refuse: true });
    await closed;
  }

  #carry(incoming: Socket): void {
    if (this.#isRefusing) {
      incoming.resetAndDestroy();
      return;
    }
    this.carried += 1;
    const outgoing = connect({ ...this.#target, allowHalfOpen: true });
    const pair = [incoming, outgoing] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [outgoing, incoming] as const]) {
      from.setNoDelay(true);
      from.on('data', (bytes: Buffer) => {
        // What the receiver does not take is not read on.
        if (to.write(bytes)) return;
        from.pause();
        to.once('drain', () => {
          if (!this.#isStalled) from.resume();
        });
      });
      from.on('end', () => to.end());
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#pairs.delete(pair);
        if (from.errored) to.resetAndDestroy();
        else if (!to.writableEnded) to.end();
      });
      if (this.#isStalled) from.pause();
    }
  }
}

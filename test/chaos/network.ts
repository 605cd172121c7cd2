/** The links of a stack: every role reaches each thing that it calls through a proxy of its own. */
import { ROLE_ENVIRONMENTS, variablesOf } from '../../local/environments.ts';
import type { RoleName } from '../../local/roles.ts';
import type { Link } from './plan.ts';
import { LinkProxy } from './proxy.ts';

export class Network {
  readonly #proxies = new Map<Link, LinkProxy>();

  /** In an order that is the same for every stack of this layout. */
  get links(): Link[] {
    return [...this.#proxies.keys()].sort();
  }

  /** For `StackOptions.roleEnv`: the same environment, with every address that the role reads led through a proxy. */
  readonly roleEnv = async (name: RoleName, env: Record<string, string>): Promise<Record<string, string>> => {
    const schema = ROLE_ENVIRONMENTS[name];
    // What it does not read leads nowhere; an operator's tool is not part of what is tested.
    if (schema === undefined || name === 'codec') return env;
    const led = { ...env };
    for (const variable of variablesOf(schema)) {
      const address = env[variable.name];
      const target = targetOf(variable.name);
      if (address === undefined || target === undefined) continue;
      led[variable.name] = await this.#lead(`${name}>${target}`, address);
    }
    return led;
  };

  proxy(link: Link): LinkProxy {
    const proxy = this.#proxies.get(link);
    if (!proxy) throw new Error(`There is no link ${link}; there are ${this.links.join(', ')}`);
    return proxy;
  }

  mendAll(): void {
    for (const proxy of this.#proxies.values()) proxy.mend();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }

  async #lead(link: Link, address: string): Promise<string> {
    const isUrl = address.includes('://');
    const url = new URL(isUrl ? address : `tcp://${address}`);
    const proxy = await LinkProxy.open(link, { host: url.hostname, port: Number(url.port) });
    this.#proxies.set(link, proxy);
    if (!isUrl) return proxy.address;
    url.host = proxy.address;
    // A base URL has no slash at its end.
    return url.pathname === '/' ? url.href.replace(/\/$/, '') : url.href;
  }
}

/** What an environment variable is the address of. */
function targetOf(variable: string): string | undefined {
  if (variable.endsWith('_DATABASE_URL')) return 'postgres';
  if (variable === 'TEMPORAL_ADDRESS') return 'temporal';
  return variable.endsWith('_URL') ? variable.slice(0, -'_URL'.length).toLowerCase() : undefined;
}

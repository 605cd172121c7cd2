/** What `resolveTemporal` answers with: where Temporal is and which processes somebody has to run for it. */

/** The four ways to Temporal, in the order in which they are tried. */
export const TEMPORAL_PROVIDERS = ['address', 'binary', 'download', 'build'] as const;
export type TemporalProvider = (typeof TEMPORAL_PROVIDERS)[number];

/**
 * One child process. A supervisor runs `prepare`, then the command, then waits for `ready`. All three can be repeated
 * with the same values after the process was killed: data and ports are kept.
 */
export interface TemporalProcess {
  name: 'temporal' | 'temporal-ui';
  command: string;
  args: string[];
  /** The whole environment of the process, not additions to one. */
  env: Record<string, string>;
  cwd: string;
  /** What must exist before the process starts: directories, rendered configuration, database schema. Idempotent. */
  prepare: () => Promise<void>;
  /** Resolves once the process answers. Rejects after its own time limit, or when `signal` is aborted. */
  ready: (signal?: AbortSignal) => Promise<void>;
}

export interface TemporalPlan {
  kind: TemporalProvider;
  /** `host:port` of the gRPC frontend. */
  address: string;
  namespace: string;
  /** Where a person opens the UI; unknown for an existing cluster unless `TEMPORAL_UI_URL` says it. */
  uiUrl: string | undefined;
  /**
   * Set when the UI cannot send the codec server its cookie across origins: the codec server has to show this UI under its
   * own origin (`TEMPORAL_UI_UPSTREAM`), and `uiUrl` is the codec server.
   */
  uiUpstream?: string | undefined;
  /** In the order in which they are to be started; empty for an existing cluster. */
  processes: TemporalProcess[];
  /**
   * To be called once the processes are ready: creates the namespace and search attributes and probes them, or, on an
   * existing cluster, checks them and throws an error that holds the exact missing commands.
   */
  setUp: (signal?: AbortSignal) => Promise<void>;
  /** One line for a person: what was found, and where. */
  describe: string;
}

/** This way to Temporal is not open on this machine; the message says why and what would open it. */
export class TemporalWayClosed extends Error {
  override readonly name = 'TemporalWayClosed';
}

/** Temporal cannot be had or is not set up as needed, for a reason that a person can change. */
export class TemporalSetupError extends Error {
  override readonly name = 'TemporalSetupError';
}

/**
 * Told of what takes time. `message` names the step in words for a person; further calls with the same message and a new
 * `detail` tell how far it is ("412 packages, 63 s").
 */
export type OnProgress = (message: string, detail?: string) => void;

/** What the caller decides; the rest is read from the environment. */
export interface TemporalOptions {
  /** Where the server keeps its data and rendered configuration: `.local/temporal`. */
  stateDirectory: string;
  /** Superuser's URL of the Postgres that a built server stores in. Without it a build is not an option. */
  postgresAdminUrl?: string | undefined;
  /** The codec server's URL as the operator's browser sees it, on the same host name as the UI. */
  codecEndpoint?: string | undefined;
  /** Name of the built server's role and database, and prefix of its visibility database. Default `temporal`. */
  database?: string | undefined;
  onProgress?: OnProgress | undefined;
}

/**
 * The builds of a worker deployment, as Temporal knows them: which takes the deliveries, what is still on another one, and
 * whether that one's workers may be stopped. What `npm run builds` does.
 */
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';

// A CommonJS module without static exports: only its default can be imported.
const { WorkerDeploymentVersionStatus } = proto.temporal.api.enums.v1;

/**
 * `current`: takes new deliveries and those under way. `ramping`: takes a share of both. `draining`: no longer, but pinned
 * ones may still need it, or Temporal has not found out yet. `inactive`: has never taken any.
 */
export const BUILD_STATUSES = ['current', 'ramping', 'draining', 'drained', 'inactive'] as const;
export type BuildStatus = (typeof BUILD_STATUSES)[number];

export interface Build {
  buildId: string;
  status: BuildStatus;
  /** Of a ramping build: the share of deliveries that it takes, percent. */
  rampPercent: number | null;
  /** RFC 3339: since when it has been there. */
  since: string | null;
  /** Open workflows whose last task it carried out. */
  open: number;
  /** Of them, those that no other build can go on with. */
  pinned: number;
}

export class Builds {
  readonly #client: Client;
  readonly #deploymentName: string;

  constructor(client: Client, deploymentName: string) {
    this.#client = client;
    this.#deploymentName = deploymentName;
  }

  /** Every build that Temporal keeps, newest first. Throws when it knows no such deployment. */
  async list(): Promise<Build[]> {
    const { workerDeploymentInfo: info } = await this.#service.describeWorkerDeployment(this.#names);
    const ramping = info?.routingConfig?.rampingDeploymentVersion?.buildId;
    const builds = (info?.versionSummaries ?? []).map(async (summary): Promise<Build> => {
      const buildId = summary.deploymentVersion?.buildId ?? '';
      const seconds = summary.createTime?.seconds;
      return {
        buildId,
        status: statusOf(summary.status),
        rampPercent: buildId === ramping ? (info?.routingConfig?.rampingVersionPercentage ?? null) : null,
        since: seconds ? new Date(Number(seconds) * 1000).toISOString() : null,
        open: await this.#count(buildId),
        pinned: await this.#count(buildId, 'AND TemporalWorkflowVersioningBehavior = "Pinned"'),
      };
    });
    return (await Promise.all(builds)).sort((a, b) => (b.since ?? '').localeCompare(a.since ?? ''));
  }

  /**
   * New deliveries start on this build, and those under way go on with it from their next step. Throws when it has no workers
   * for a task queue that the present one works for.
   */
  async promote(buildId: string): Promise<void> {
    await this.#service.setWorkerDeploymentCurrentVersion({ ...this.#names, buildId, ...this.#by });
  }

  /** So many percent of all deliveries, new and under way, go by this build: the same ones until it changes. 0: none. */
  async ramp(buildId: string, percentage: number): Promise<void> {
    await this.#service.setWorkerDeploymentRampingVersion({
      ...this.#names,
      // No build ramps any more.
      buildId: percentage === 0 ? '' : buildId,
      percentage,
      ...this.#by,
    });
  }

  /** Why the workers of this build must not be stopped, in plain words; empty when they may be. */
  async neededFor(buildId: string): Promise<string[]> {
    const build = (await this.list()).find((one) => one.buildId === buildId);
    if (!build) return [];
    return [
      ...(build.status === 'current' ? ['it is the current build, promote another one first'] : []),
      ...(build.status === 'ramping' ? ['it is ramping, promote it or ramp it to 0'] : []),
      ...(build.pinned > 0 ? [`open deliveries are pinned to it: ${build.pinned}`] : []),
    ];
  }

  get #service() {
    return this.#client.workflowService;
  }

  get #names() {
    return { namespace: this.#client.options.namespace, deploymentName: this.#deploymentName };
  }

  get #by() {
    return { identity: this.#client.options.identity };
  }

  async #count(buildId: string, condition = ''): Promise<number> {
    const version = `${this.#deploymentName}:${buildId}`.replaceAll('"', '\\"');
    const { count } = await this.#client.workflow.count(
      `ExecutionStatus = "Running" AND TemporalWorkerDeploymentVersion = "${version}" ${condition}`,
    );
    return count;
  }
}

function statusOf(
  status: proto.temporal.api.enums.v1.WorkerDeploymentVersionStatus | null | undefined,
): BuildStatus {
  switch (status) {
    case WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT:
      return 'current';
    case WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING:
      return 'ramping';
    case WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING:
      return 'draining';
    case WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINED:
      return 'drained';
    default:
      return 'inactive';
  }
}

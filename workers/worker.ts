/** The delivery worker: wiring only. Workflow code from the bundle, activities over the services' clients, tuning. */
import { type DataConverter, VersioningBehavior } from '@temporalio/common';
import { type NativeConnection, Worker, type WorkerOptions, type WorkflowBundle } from '@temporalio/worker';

/** Which build of the worker this is, for a cluster that runs several side by side: see docs/deploying-workflows.md. */
export interface DeploymentVersion {
  deploymentName: string;
  buildId: string;
}

export interface DeliveryWorkerOptions {
  connection: NativeConnection;
  namespace: string;
  taskQueue: string;
  workflowBundle: WorkflowBundle;
  /** `createActivities` of activities/; the bench's floor brings its own. */
  activities: object;
  dataConverter?: DataConverter;
  maxWorkflowTasks?: number;
  maxLocalActivities?: number;
  maxActivities?: number;
  /** Hands out the slots of tasks, instead of the three numbers above. */
  tuner?: NonNullable<WorkerOptions['tuner']>;
  maxCachedWorkflows?: number;
  shutdownGraceMs?: number;
  identity?: string;
  interceptors?: WorkerOptions['interceptors'];
  /** Without it the worker is unversioned: it takes whatever its task queue has. */
  version?: DeploymentVersion;
}

/** A worker of the delivery task queue, ready to `run()`. */
export function createDeliveryWorker(options: DeliveryWorkerOptions): Promise<Worker> {
  return Worker.create({
    connection: options.connection,
    namespace: options.namespace,
    taskQueue: options.taskQueue,
    workflowBundle: options.workflowBundle,
    activities: options.activities,
    ...(options.dataConverter && { dataConverter: options.dataConverter }),
    ...(options.identity !== undefined && { identity: options.identity }),
    ...(options.interceptors && { interceptors: options.interceptors }),
    ...(options.version && {
      workerDeploymentOptions: {
        version: options.version,
        useWorkerVersioning: true,
        // Not pinned: a delivery may wait for a month, and a fix has to reach those that are under way.
        defaultVersioningBehavior: VersioningBehavior.AUTO_UPGRADE,
      },
    }),
    ...(options.tuner
      ? { tuner: options.tuner }
      : {
          maxConcurrentWorkflowTaskExecutions: options.maxWorkflowTasks ?? 40,
          maxConcurrentLocalActivityExecutions: options.maxLocalActivities ?? 80,
          maxConcurrentActivityTaskExecutions: options.maxActivities ?? 80,
        }),
    maxCachedWorkflows: options.maxCachedWorkflows ?? 2000,
    // One thread: on a small machine a second one costs more than it brings, and a bigger one adds workers instead.
    workflowThreadPoolSize: 1,
    // The default grace is none: activities that run get to finish, or are retried elsewhere with the same key.
    shutdownGraceTime: options.shutdownGraceMs ?? 5_000,
  });
}

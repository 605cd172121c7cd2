/** Every version that is pinned, in one place. */

/** Server and tools are built from these official modules; the schema in the database belongs to the server's version. */
export const SERVER_MODULE = { path: 'go.temporal.io/server/cmd/server', version: '1.32.1' } as const;
export const SQL_TOOL_MODULE = { path: 'go.temporal.io/server/cmd/tools/sql', version: '1.32.1' } as const;
export const UI_SERVER_MODULE = {
  path: 'github.com/temporalio/ui-server/v2/cmd/server',
  version: '2.54.1',
} as const;

/** The Java test server: virtual time. */
export const TEST_SERVER_ARTIFACT = {
  groupId: 'io.temporal',
  artifactId: 'temporal-test-server',
  version: '1.38.0',
} as const;

/**
 * The oldest Temporal server that a `temporal` binary may contain: 1.29, the oldest that our tests have run against. It
 * has what the workflows use: updates, user metadata on activities and timers, task priority, eager starts.
 */
export const MINIMUM_SERVER_VERSION = '1.29.0';

/** Compares `1.29.0` with `1.32.1` by number. */
export function isOlder(version: string, minimum: string): boolean {
  const parts = (text: string) => text.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const [a, b] = [parts(version), parts(minimum)];
  for (let index = 0; index < 3; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

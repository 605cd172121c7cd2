// `npm test [-- filter…] [--vitest-option]`: runs the tests in this process and ends with `N passed, N failed`.
import { parseCLI, startVitest } from 'vitest/node';

const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
const vitest = await startVitest('test', filter, { ...options, watch: false });
const modules = vitest.state.getTestModules();
const tests = modules.flatMap((module) => [...module.children.allTests()]);
const passed = tests.filter((test) => test.result().state === 'passed').length;
// A file that does not load, or a failing hook, has no failed test of its own.
const brokenModules = modules.filter((module) => {
  const hasFailedTest = [...module.children.allTests('failed')].length > 0;
  return module.state() === 'failed' && !hasFailedTest;
}).length;
const failedTests = tests.filter((test) => test.result().state === 'failed').length;
const failures = failedTests + brokenModules + vitest.state.getUnhandledErrors().length;
await vitest.close();
// What fails outside of every test, such as the global setup, shows only in the exit code.
const failed = failures === 0 && process.exitCode ? 1 : failures;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

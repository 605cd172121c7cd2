// Preloaded by the time-skipping tests: the SDK keeps a stack trace, through source maps, of every promise that a workflow makes, for whoever
// queries `__stack_trace`. No test does, and it is half of what the workflows' threads do.
const { promiseHooks } = require('node:v8');
const { isMainThread } = require('node:worker_threads');

if (!isMainThread) promiseHooks.createHook = () => () => undefined;

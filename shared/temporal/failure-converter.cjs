'use strict';
// Failures with their message and stack trace as a payload, so that the codec encrypts them too. Plain CommonJS, because
// the SDK loads it by path: with require() in clients and workers, and into the workflow bundle.
const { DefaultFailureConverter } = require('@temporalio/common');

exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });

// `node deploy/healthcheck.mjs [port]`: exit code 0 when the role in this container is ready. Port: $PORT unless told.
const port = process.argv[2] ?? process.env['PORT'];
try {
  const response = await fetch(`http://127.0.0.1:${port}/health/ready`, {
    signal: AbortSignal.timeout(3_000),
  });
  if (!response.ok) console.error(`${response.status}: ${await response.text()}`);
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}

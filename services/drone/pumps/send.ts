/** Bounds a signal in time: a cluster that accepts and never answers counts as down. */
const SEND_WITHIN_MS = 10_000;

export async function sendWithin<T>(sending: Promise<T>, withinMs: number = SEND_WITHIN_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The signal was not taken within ${withinMs} ms`)), withinMs);
  });
  try {
    return await Promise.race([sending, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

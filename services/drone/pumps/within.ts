/** A signal that a cluster accepts and never answers counts as not taken, wall milliseconds. */
export const SEND_WITHIN_MS = 10_000;

/** Bounds a wait in time. @throws when it takes longer */
export async function within<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

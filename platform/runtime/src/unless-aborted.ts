/** Throws the signal's reason as soon as it aborts, whatever becomes of the work. */
export async function unlessAborted<Value>(
  signal: AbortSignal,
  work: Promise<Value>,
): Promise<Value> {
  const gone = Promise.withResolvers<never>();
  const giveUp = (): void => gone.reject(signal.reason);
  signal.addEventListener('abort', giveUp);
  if (signal.aborted) giveUp();
  try {
    return await Promise.race([work, gone.promise]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

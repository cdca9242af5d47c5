/** Works on all inputs in order, so many at once. Returns immediately, with a promise for each. */
export function inPool<T, R>(
  atOnce: number,
  inputs: readonly T[],
  work: (input: T) => Promise<R>,
): Promise<R>[] {
  const waiting: (() => Promise<void>)[] = [];
  const promises = inputs.map(
    (input) =>
      new Promise<R>((resolve, reject) => {
        waiting.push(() => work(input).then(resolve, reject));
      }),
  );
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next();
  };
  for (let i = 0; i < atOnce; i++) void worker();
  // Whoever wants one may ask for it only after it has failed.
  for (const promise of promises) promise.catch(() => undefined);
  return promises;
}

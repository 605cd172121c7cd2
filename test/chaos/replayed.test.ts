import { expect, test } from 'vitest';
import { readAhead } from './replayed.ts';

const numbers = Array.from({ length: 9 }, (_, number) => number);

test('What is read ahead comes in its order, and no more is read than said', async () => {
  let underWay = 0;
  let most = 0;
  const read: number[] = [];
  const ahead = readAhead(numbers, 3, async (number) => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    return number;
  });
  for await (const number of ahead) read.push(number);
  expect(read).toEqual(numbers);
  expect(most).toBe(3);
});

test('Several share it: each item is one’s', async () => {
  const ahead = readAhead(numbers, 3, async (number) => number);
  const read: number[] = [];
  const take = async () => {
    for await (const number of ahead) read.push(number);
  };
  await Promise.all([take(), take()]);
  expect(read.toSorted()).toEqual(numbers);
});

test('What cannot be read is told to whoever would have it', async () => {
  const ahead = readAhead(numbers, 3, async (number) => {
    if (number === 4) throw new Error('the fourth');
    return number;
  });
  const read: number[] = [];
  await expect(
    (async () => {
      for await (const number of ahead) read.push(number);
    })(),
  ).rejects.toThrow('the fourth');
  expect(read).toEqual([0, 1, 2, 3]);
});

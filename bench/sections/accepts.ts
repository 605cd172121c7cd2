/**
 * Accepts against a bare route with one committed insert: how many a second at most, and the p99 at 500 a second. Three times:
 * the bare route; the accept with Temporal down, so that nothing but accepting happens; the accept with everything running, so
 * that the workflows it starts compete for the same cores.
 */
import { Pool } from 'undici';
import { startCpuMeter } from '../cpu.ts';
import { type Figure, plainFigure, ratioFigure } from '../figures.ts';
import { jobs } from '../flight/jobs.ts';
import { startBareRoute } from '../load/bare-route.ts';
import { openLoop, type OpenLoopResult } from '../load/open-loop.ts';
import { maxThroughput, type PostTarget, uniqueHeaders } from '../load/throughput.ts';
import { type System, withSystem } from '../system.ts';
import type { CpuUse, Section, SectionContext } from './section.ts';

const RATE = 500;
const AIM_THROUGHPUT = 0.4;
const AIM_P99 = 3;

interface Measured {
  perSecond: number;
  at500: OpenLoopResult;
}

export const accepts: Section = async (context) => {
  const { say } = context;
  const cpu: CpuUse[] = [];
  const [bare, alone] = await withSystem(say, async (system) => {
    const route = await startBareRoute(system.description.postgres_url);
    const routeTarget = { url: route.url, headers: {}, body: jobs() };
    try {
      const first = await measure(context, system, routeTarget, 'bare route', cpu, {
        'bare route': route.pid,
      });
      await system.stack.kill('temporal');
      const second = await measure(context, system, acceptTarget(system), 'accepts with Temporal down', cpu);
      return [first, second] as const;
    } finally {
      await route.stop();
    }
  });
  const running = await withSystem(say, (system) =>
    measure(context, system, acceptTarget(system), 'accepts with all running', cpu),
  );
  return {
    figures: [
      ...figuresOf('accepts', 'with Temporal down', alone, bare),
      ...figuresOf('accepts_running', 'with all running', running, bare),
    ],
    cpu,
    remarks: [
      'Both routes got the same bodies, each with an Idempotency-Key of its own, from this process on this machine. Highest rate: autocannon, 64 connections. At 500/s: evenly spaced, latency counted from when a request was due.',
      '"With Temporal down": every role runs but Temporal, so that nothing competes with accepting. "With all running": dispatcher, Temporal, worker and services carry the accepted deliveries out meanwhile, on the same cores; they are of an account without credit and so end at their first step.',
    ],
  };
};

function acceptTarget({ description }: System): PostTarget {
  const key = description.accounts['tinyCredit']?.key;
  if (key === undefined) throw new Error('The stack has no account without credit');
  return {
    url: `${description.api_url}/v1/deliveries`,
    headers: { authorization: `Bearer ${key}` },
    body: jobs(),
  };
}

async function measure(
  { quick, say }: SectionContext,
  system: System,
  target: PostTarget,
  name: string,
  cpu: CpuUse[],
  extraRoots: Record<string, number> = {},
): Promise<Measured> {
  say(`${name}: ${RATE} a second`);
  const at500 = await atFixedRate(target, quick ? 3 : 20);
  if (at500.failed > 0) throw new Error(`${name}: ${at500.failed} requests failed: ${at500.failure ?? ''}`);
  say(`${name}: as many as possible`);
  await maxThroughput(target, { durationS: quick ? 1 : 3 });
  const meter = await startCpuMeter(
    { ...system.roots(), ...extraRoots, bench: process.pid },
    system.description.postgres_url,
  );
  const { perSecond, answered } = await maxThroughput(target, { durationS: quick ? 3 : 10 });
  cpu.push({ of: name, completed: answered, windowS: answered / perSecond, byRole: await meter.read() });
  return { perSecond, at500 };
}

async function atFixedRate(target: PostTarget, measureS: number): Promise<OpenLoopResult> {
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections: 64, pipelining: 1 });
  try {
    return await openLoop({
      perSecond: RATE,
      warmUpS: 3,
      measureS,
      send: async () => {
        const { statusCode, body } = await pool.request({
          method: 'POST',
          path: pathname,
          headers: { ...target.headers, ...uniqueHeaders() },
          body: JSON.stringify(target.body()),
        });
        const text = await body.text();
        if (statusCode !== 201) throw new Error(`${statusCode}: ${text.slice(0, 200)}`);
      },
    });
  } finally {
    await pool.destroy();
  }
}

function figuresOf(id: string, how: string, measured: Measured, bare: Measured): Figure[] {
  return [
    ratioFigure(
      {
        id: `${id}_per_second`,
        name: `accepts ${how}, highest rate`,
        value: measured.perSecond,
        unit: '/s',
        floor: { name: 'bare route', value: bare.perSecond },
      },
      { is: 'at least', ratio: AIM_THROUGHPUT },
    ),
    ratioFigure(
      {
        id: `${id}_p99`,
        name: `accepts ${how}, p99 at ${RATE}/s`,
        value: measured.at500.latency.p99Ms,
        unit: 'ms',
        floor: { name: 'bare route, ms', value: bare.at500.latency.p99Ms },
      },
      { is: 'at most', ratio: AIM_P99 },
    ),
    plainFigure({
      id: `${id}_p50`,
      name: `accepts ${how}, p50 at ${RATE}/s`,
      value: measured.at500.latency.p50Ms,
      unit: 'ms',
    }),
  ];
}

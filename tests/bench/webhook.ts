/**
 * `npm run bench:webhook`: the webhook route beside a minimal Worker that only verifies the signature and commits one row
 * in a Durable Object. Both are bundled by wrangler and run in workerd, in turns. See docs/benchmarks.md.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleCyrus, bundleMinimal, WEBHOOK_SECRET } from './cyrus.ts';
import { type Bar, conclude, median, percentile, round } from './figures.ts';
import type { LoadOrder, LoadReport } from './webhook-load.ts';
import { type Bundle, startWorkerd } from './workerd.ts';

const CONNECTIONS = 64;
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const WARM_UP = 2_000;
const COUNT = 6_000;
const LEAST_SHARE = 0.7;
const MOST_P99 = 1.5;

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const load = fork(join(import.meta.dirname, 'webhook-load.ts'));
try {
  const [baseline, cyrus] = await contenders(folder);
  const rounds = { baseline: [] as Figures[], cyrus: [] as Figures[] };
  for (let number = 1; number <= ROUNDS; number++) {
    rounds.baseline.push(await measure(baseline, '/', number));
    rounds.cyrus.push(await measure(cyrus, '/webhooks/linear', number));
    const [a, b] = [rounds.baseline.at(-1), rounds.cyrus.at(-1)];
    console.log(`round ${number}: baseline ${show(a)}; Cyrus ${show(b)}`);
  }
  report(rounds.baseline, rounds.cyrus);
} finally {
  load.kill();
  rmSync(folder, { recursive: true, force: true });
}

interface Figures {
  perSecond: number;
  p50: number;
  p99: number;
}

async function contenders(into: string): Promise<[Bundle, Bundle]> {
  return [await bundleMinimal(join(into, 'baseline'), WEBHOOK_SECRET), await bundleCyrus(into, true)];
}

/** One round in a fresh workerd. */
async function measure(worker: Bundle, path: string, number: number): Promise<Figures> {
  const running = await startWorkerd(worker);
  try {
    const report = await play(load, {
      url: `${running.url}${path}`,
      secret: WEBHOOK_SECRET,
      round: number,
      connections: CONNECTIONS,
      warmUp: WARM_UP,
      count: COUNT,
    });
    if (Object.keys(report.failures).length > 0) {
      throw new Error(`requests were not answered 200: ${JSON.stringify(report.failures)}`);
    }
    return {
      perSecond: report.latencies.length / report.seconds,
      p50: percentile(report.latencies, 0.5),
      p99: percentile(report.latencies, 0.99),
    };
  } finally {
    await running.end();
  }
}

async function play(process: ChildProcess, order: LoadOrder): Promise<LoadReport> {
  process.send(order);
  const [report] = await once(process, 'message');
  return report;
}

function report(baseline: Figures[], cyrus: Figures[]): void {
  const each = (figures: Figures[]) => ({
    perSecond: round(median(figures.map((figure) => figure.perSecond)), 0),
    p50Ms: round(median(figures.map((figure) => figure.p50))),
    p99Ms: round(median(figures.map((figure) => figure.p99))),
  });
  const ratios = (pick: (figure: Figures) => number) =>
    cyrus.map((figure, index) => pick(figure) / pick(baseline[index] as Figures));
  const share = round(median(ratios((figure) => figure.perSecond)));
  const p99 = round(median(ratios((figure) => figure.p99)));
  const bars: Bar[] = [
    {
      bar: `at least ${LEAST_SHARE} of the baseline's requests per second`,
      measured: share,
      holds: share >= LEAST_SHARE,
    },
    { bar: `p99 at most ${MOST_P99} times the baseline's`, measured: p99, holds: p99 <= MOST_P99 },
  ];
  conclude(
    { bench: 'webhook', connections: CONNECTIONS, rounds: ROUNDS, baseline: each(baseline), cyrus: each(cyrus) },
    bars,
  );
}

function show(figures: Figures | undefined): string {
  if (!figures) return '-';
  return `${round(figures.perSecond, 0)}/s, p50 ${round(figures.p50, 1)} ms, p99 ${round(figures.p99, 1)} ms`;
}

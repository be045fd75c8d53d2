/** What a deployment costs in a month (pure): Cloudflare's prices times what a recorded session was counted to use, and Claude beside it. */

/** Dollars a month for the Workers Paid plan, and prices beyond what it includes (developers.cloudflare.com, read in November 2026). */
const BASE_USD = 5;

type Meter =
  | 'containerMemory'
  | 'containerCpu'
  | 'containerDisk'
  | 'rowsWritten'
  | 'rowsRead'
  | 'objectRequests'
  | 'objectDuration'
  | 'objectStorage'
  | 'workerRequests'
  | 'workerCpu'
  | 'd1Storage'
  | 'r2ClassA'
  | 'r2ClassB'
  | 'r2Storage'
  | 'logs';

/** `unit`: what is counted; `included`: of it in a month; `usd`: for one more. */
const PRICES: Record<Meter, { what: string; unit: string; included: number; usd: number }> = {
  containerMemory: { what: 'container memory', unit: 'GiB-s', included: 25 * 3_600, usd: 0.0000025 },
  containerCpu: { what: 'container CPU at work', unit: 'vCPU-s', included: 375 * 60, usd: 0.00002 },
  containerDisk: { what: 'container disk', unit: 'GB-s', included: 200 * 3_600, usd: 0.00000007 },
  rowsWritten: { what: 'rows written', unit: 'rows', included: 50_000_000, usd: 1 / 1_000_000 },
  rowsRead: { what: 'rows read', unit: 'rows', included: 25_000_000_000, usd: 0.001 / 1_000_000 },
  objectRequests: { what: 'requests to objects', unit: 'requests', included: 1_000_000, usd: 0.15 / 1_000_000 },
  objectDuration: { what: 'objects awake', unit: 'GB-s', included: 400_000, usd: 12.5 / 1_000_000 },
  objectStorage: { what: 'storage of objects', unit: 'GB', included: 5, usd: 0.2 },
  workerRequests: { what: 'requests to the Worker', unit: 'requests', included: 10_000_000, usd: 0.3 / 1_000_000 },
  workerCpu: { what: 'CPU of the Worker', unit: 'ms', included: 30_000_000, usd: 0.02 / 1_000_000 },
  d1Storage: { what: 'storage of D1', unit: 'GB', included: 5, usd: 0.75 },
  r2ClassA: { what: 'writes to R2', unit: 'operations', included: 1_000_000, usd: 4.5 / 1_000_000 },
  r2ClassB: { what: 'reads of R2', unit: 'operations', included: 10_000_000, usd: 0.36 / 1_000_000 },
  r2Storage: { what: 'storage of R2', unit: 'GB', included: 10, usd: 0.015 },
  logs: { what: 'logs', unit: 'GB', included: 50, usd: 0.25 },
};

/** Sizes of wrangler.toml. */
export const INSTANCES = {
  small: { vcpu: 0.5, memoryGiB: 4, diskGB: 8 },
  standard: { vcpu: 1, memoryGiB: 6, diskGB: 12 },
  large: { vcpu: 4, memoryGiB: 12, diskGB: 20 },
} as const;
export type Instance = keyof typeof INSTANCES;

/** Counted by `npm run bench:session` over 20 minutes with a call of a tool every 20 seconds, without and with 3 viewers: docs/benchmarks.md. */
const COUNTED_MINUTES = 20;
const COUNTED = { posts: [526, 3_302], rowsRead: [1_537, 4_257], rowsWritten: [978, 3_736] } as const;
const COUNTED_D1 = { rowsRead: 30, rowsWritten: 20 };
const COUNTED_R2 = { put: 180, other: 59 };
/** Not counted, but taken: for 20 minutes. */
const TAKEN = { gatewayRequests: 300, linearCalls: 12, logGB: 0.0075, workerMsPerRequest: 2 };
/** After the last turn a container waits so long before it sleeps. */
const IDLE_TAIL_MINUTES = 5;
/** Of its CPU a session uses this share: Claude thinks most of the time. */
const CPU_SHARE = 0.15;
/** An object of 128 MB is awake for about half of a session, that of the container for all of it. */
const OBJECT_GB = 0.128;
const KEPT = { objectGB: 0.003, r2GB: 0.03, d1GB: 0.000002 };

/** What somebody does in a month. */
export interface Usage {
  issues: number;
  /** Minutes of work on an issue. */
  minutes: number;
  instance: Instance;
  /** Share of the time in which somebody watches the page, 0 to 1. */
  watched: number;
  /** Months for which sessions are kept: storage is that of so many months. */
  keptMonths: number;
  /** Dollars that Claude costs for an issue, by list prices. */
  claudeUsd: number;
}

export interface Line {
  what: string;
  used: number;
  unit: string;
  /** Beyond what the plan includes. */
  usd: number;
}

export interface Cost {
  /** What Cloudflare charges, the most expensive first. */
  lines: Line[];
  cloudflareUsd: number;
  /** What one more issue costs once everything included is used up. */
  marginalUsd: number;
  /** Claude with an API key. */
  apiUsd: number;
  /** Months of each plan for the same, by which it pays: list prices for an issue times issues. */
  plans: { plan: string; usd: number; isCheaperThanKey: boolean }[];
}

/**
 * Dollars a month for one person, as they were before Max 5x and 20x became Max and Ultra in October 2026; the terms ask that a plan is
 * used by its purchaser alone, see docs/limits.md.
 */
const PLANS: readonly { plan: string; usd: number }[] = [
  { plan: 'pro', usd: 20 },
  { plan: 'max', usd: 100 },
  { plan: 'ultra', usd: 200 },
];

export function costOf(usage: Usage): Cost {
  const used = usedBy(usage, usage.issues);
  const lines = (Object.keys(PRICES) as Meter[]).map((meter) => {
    const { what, unit, included, usd } = PRICES[meter];
    return { what, unit, used: used[meter], usd: Math.max(0, used[meter] - included) * usd };
  });
  const one = usedBy(usage, 1);
  const marginalUsd = (Object.keys(PRICES) as Meter[]).reduce((sum, meter) => sum + one[meter] * PRICES[meter].usd, 0);
  const apiUsd = usage.issues * usage.claudeUsd;
  return {
    lines: lines.toSorted((a, b) => b.usd - a.usd),
    cloudflareUsd: BASE_USD + lines.reduce((sum, { usd }) => sum + usd, 0),
    marginalUsd,
    apiUsd,
    plans: PLANS.map((plan) => ({ ...plan, isCheaperThanKey: plan.usd < apiUsd })),
  };
}

function usedBy({ minutes, instance, watched, keptMonths }: Usage, issues: number): Record<Meter, number> {
  const { vcpu, memoryGiB, diskGB } = INSTANCES[instance];
  const share = minutes / COUNTED_MINUTES;
  const between = ([alone, seen]: readonly [number, number]) => (alone + (seen - alone) * watched) * share;
  const seconds = (minutes + IDLE_TAIL_MINUTES) * 60;
  const posts = between(COUNTED.posts);
  const requests = posts + TAKEN.gatewayRequests * share;
  const each: Record<Meter, number> = {
    containerMemory: memoryGiB * seconds,
    containerCpu: vcpu * minutes * 60 * CPU_SHARE,
    containerDisk: diskGB * seconds,
    rowsWritten: between(COUNTED.rowsWritten) + COUNTED_D1.rowsWritten,
    rowsRead: between(COUNTED.rowsRead) + COUNTED_D1.rowsRead,
    objectRequests: requests + TAKEN.gatewayRequests * share + TAKEN.linearCalls * share,
    objectDuration: (minutes * 60 * 0.5 + seconds) * OBJECT_GB,
    objectStorage: KEPT.objectGB * share * keptMonths,
    workerRequests: requests,
    workerCpu: requests * TAKEN.workerMsPerRequest,
    d1Storage: KEPT.d1GB * keptMonths,
    r2ClassA: COUNTED_R2.put * share,
    r2ClassB: COUNTED_R2.other * share,
    r2Storage: KEPT.r2GB * share * keptMonths,
    logs: TAKEN.logGB * share,
  };
  return Object.fromEntries(Object.entries(each).map(([meter, value]) => [meter, value * issues])) as Record<
    Meter,
    number
  >;
}

/** The load of `bench:webhook`, a process of its own: 64 connections, each with one request in flight. */
import { Agent, request } from 'node:http';
import { type Delivery, makeDeliveries } from './linear-deliveries.ts';

/** Sent by the benchmark for each round. The same `round` means the same deliveries. */
export interface LoadOrder {
  url: string;
  secret: string;
  round: number;
  connections: number;
  /** Requests before the measurement, and within it. */
  warmUp: number;
  count: number;
  /** What the answers say is counted too, which costs the one who asks. */
  counts?: boolean;
}

/** Latencies in milliseconds, sorted, and how long all of it took. */
export interface LoadReport {
  seconds: number;
  latencies: number[];
  /** Answers that were not 200, by status. */
  failures: Record<string, number>;
  /** Answers by their `outcome`, where that was asked for. */
  outcomes: Record<string, number>;
}

let deliveries: { round: number; all: Delivery[] } = { round: -1, all: [] };

process.on('message', async (order: LoadOrder) => {
  process.send?.(await play(order));
});

async function play({
  url,
  secret,
  round,
  connections,
  warmUp,
  count,
  counts = false,
}: LoadOrder): Promise<LoadReport> {
  if (deliveries.round !== round) deliveries = { round, all: makeDeliveries(warmUp + count, secret) };
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const failures: Record<string, number> = {};
  const outcomes: Record<string, number> = {};
  const run = async (part: Delivery[]): Promise<number[]> => {
    const latencies: number[] = [];
    let next = 0;
    const connection = async () => {
      for (let delivery = part[next++]; delivery; delivery = part[next++]) {
        const began = performance.now();
        const { status, text } = await post(url, agent, delivery, counts);
        latencies.push(performance.now() - began);
        const outcome = /"outcome":"([^"]+)"/.exec(text)?.[1];
        if (outcome !== undefined) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        if (status !== 200) failures[status] = (failures[status] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: connections }, connection));
    return latencies;
  };
  await run(deliveries.all.slice(0, warmUp));
  const began = performance.now();
  const latencies = await run(deliveries.all.slice(warmUp));
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  return { seconds, latencies: latencies.sort((a, b) => a - b), failures, outcomes };
}

function post(
  url: string,
  agent: Agent,
  { body, headers }: Delivery,
  counts: boolean,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, headers }, (answer) => {
      let text = '';
      if (counts)
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
      else answer.resume();
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

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
}

/** Latencies in milliseconds, sorted, and how long all of it took. */
export interface LoadReport {
  seconds: number;
  latencies: number[];
  /** Answers that were not 200, by status. */
  failures: Record<string, number>;
}

let deliveries: { round: number; all: Delivery[] } = { round: -1, all: [] };

process.on('message', async (order: LoadOrder) => {
  process.send?.(await play(order));
});

async function play({ url, secret, round, connections, warmUp, count }: LoadOrder): Promise<LoadReport> {
  if (deliveries.round !== round) deliveries = { round, all: makeDeliveries(warmUp + count, secret) };
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const failures: Record<string, number> = {};
  const run = async (part: Delivery[]): Promise<number[]> => {
    const latencies: number[] = [];
    let next = 0;
    const connection = async () => {
      for (let delivery = part[next++]; delivery; delivery = part[next++]) {
        const began = performance.now();
        const status = await post(url, agent, delivery);
        latencies.push(performance.now() - began);
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
  return { seconds, latencies: latencies.sort((a, b) => a - b), failures };
}

function post(url: string, agent: Agent, { body, headers }: Delivery): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

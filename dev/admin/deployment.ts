/** A deployment of Cyrus as its admin API shows it, and how an admin proves to be one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { isLoopback } from '../../src/lib/loopback.ts';
import { parseJson } from '../../src/lib/parse-json.ts';
import { apiErrorSchema } from '../../src/protocol/api.ts';
import { localSecrets, PROJECT, SERVICES } from '../settings.ts';
import { askHidden } from './secrets.ts';
import { UsageProblem } from './usage.ts';

/** The deployment refused, or does not answer. The message is a sentence for people. */
export class DeploymentProblem extends Error {
  override readonly name = 'DeploymentProblem';
  /** HTTP status; null: there was no answer. */
  readonly status: number | null;
  constructor(message: string, status: number | null) {
    super(message);
    this.status = status;
  }
}

const PATIENCE_MS = 30_000;
/** Of a file. */
const LONG_PATIENCE_MS = 300_000;

export class Deployment {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.#token = token;
  }

  /**
   * Asks the admin API. @param path below `/api/admin` @param patienceMs how long an answer is waited for
   * @throws DeploymentProblem
   */
  async ask<Schema extends z.ZodType>(
    method: string,
    path: string,
    schema: Schema,
    body?: unknown,
    patienceMs: number = PATIENCE_MS,
  ): Promise<z.output<Schema>> {
    const response = await fetch(new URL(`/api/admin${path}`, this.url), {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(patienceMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw new DeploymentProblem(
        `${this.url} does not answer (${reasonOf(error, patienceMs)}): is it the right --url?`,
        null,
      );
    });
    if (response.status === 429) {
      await waited(response);
      return this.ask(method, path, schema, body, patienceMs);
    }
    const text = await response.text();
    const json = text === '' ? null : parseJson(text);
    if (!response.ok) {
      const problem = apiErrorSchema.safeParse(json);
      throw new DeploymentProblem(this.#words(response.status, problem.data?.message), response.status);
    }
    const answer = schema.safeParse(json);
    if (answer.success) return answer.data;
    throw new DeploymentProblem(
      `${this.url} answered something else than an admin API of Cyrus does.`,
      response.status,
    );
  }

  /**
   * Gets what is no JSON of a route's own. @param path below `/api/admin`
   * @returns null: it is not there
   * @throws DeploymentProblem
   */
  async read(path: string): Promise<Uint8Array | null> {
    const response = await this.#send('GET', path);
    if (response.status === 404) return null;
    if (!response.ok) throw await this.#problemOf(response);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Stores bytes as they are. @param path below `/api/admin` @throws DeploymentProblem */
  async store(path: string, content: Uint8Array): Promise<void> {
    const response = await this.#send('PUT', path, content);
    if (!response.ok) throw await this.#problemOf(response);
    await response.body?.cancel();
  }

  async #send(method: string, path: string, body?: Uint8Array): Promise<Response> {
    const response = await fetch(new URL(`/api/admin${path}`, this.url), {
      method,
      headers: { authorization: `Bearer ${this.#token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(LONG_PATIENCE_MS),
      ...(body !== undefined && { body: new Blob([new Uint8Array(body)]) }),
    }).catch((error: unknown) => {
      throw new DeploymentProblem(`${this.url} does not answer (${reasonOf(error, LONG_PATIENCE_MS)}).`, null);
    });
    if (response.status !== 429) return response;
    await waited(response);
    return this.#send(method, path, body);
  }

  async #problemOf(response: Response): Promise<DeploymentProblem> {
    const problem = apiErrorSchema.safeParse(parseJson(await response.text()));
    return new DeploymentProblem(this.#words(response.status, problem.data?.message), response.status);
  }

  #words(status: number, message: string | undefined): string {
    if (status === 401) return `${this.url} does not accept the ADMIN_TOKEN.`;
    return message ?? `${this.url} answered ${status}: is it a deployment of Cyrus?`;
  }
}

/**
 * The deployment that is meant, with the token for it.
 * @param url as given; undefined: CYRUS_URL, or the local run
 * @throws UsageProblem
 */
export async function openDeployment(url: string | undefined, environment: NodeJS.ProcessEnv): Promise<Deployment> {
  const port = environment[SERVICES.cyrus.variable] ?? String(SERVICES.cyrus.port);
  const local = `http://localhost:${port}`;
  const address = readAddress(url ?? (environment.CYRUS_URL || local));
  const given = environment.ADMIN_TOKEN?.trim();
  if (given) return new Deployment(address.origin, given);
  const folder = join(PROJECT, '.cyrus');
  const isLocal = isLoopback(address.hostname) && address.port === port;
  if (isLocal && existsSync(join(folder, 'secrets.json'))) {
    return new Deployment(address.origin, localSecrets(folder).adminToken);
  }
  const asked = await askHidden(`ADMIN_TOKEN of ${address.origin}: `);
  if (asked) return new Deployment(address.origin, asked);
  throw new UsageProblem(
    isLocal
      ? `There is no local run here: say which deployment by --url or CYRUS_URL, and set ADMIN_TOKEN.`
      : `Prove that you are an admin of ${address.origin}: set the environment variable ADMIN_TOKEN.`,
  );
}

/** Waits as long as a deployment asks for that limits its requests. */
async function waited(response: Response): Promise<void> {
  await response.body?.cancel();
  const seconds = Number(response.headers.get('retry-after') ?? 60);
  await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(seconds, 1), 120) * 1_000));
}

/** The address of a deployment as it was given. @throws UsageProblem that says what is wrong with it */
export function readAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UsageProblem(`"${text}" is no address of a deployment: give one like https://cyrus.example.workers.dev.`);
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new UsageProblem(`${url.origin} is not https: the token would travel in the open.`);
  }
  return url;
}

function reasonOf(error: unknown, patienceMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `not within ${patienceMs / 1000} s`;
  const { cause } = error;
  return cause instanceof Error ? ('code' in cause && String(cause.code)) || cause.message : error.message;
}

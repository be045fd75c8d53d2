/** The API for programs, as a command asks it for the person whose token it has. */
import type { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { API_PATH } from '../../src/protocol/v1/document.ts';
import { callerSchema, problemSchema } from '../../src/protocol/v1/schemas.ts';
import { SERVICES } from '../settings.ts';
import { DeploymentProblem, readAddress } from './deployment.ts';
import { UsageProblem } from './usage.ts';

const PATIENCE_MS = 30_000;

export class ProgramsApi {
  readonly #url: string;
  readonly #token: string;

  /**
   * @param url of the deployment; undefined: CYRUS_URL, or the local run
   * @throws UsageProblem if there is no token in CYRUS_TOKEN
   */
  constructor(url: string | undefined, environment: NodeJS.ProcessEnv) {
    const { variable, port } = SERVICES.cyrus;
    const local = `http://localhost:${environment[variable] ?? port}`;
    this.#url = readAddress(url ?? (environment.CYRUS_URL || local)).origin;
    this.#token = environment.CYRUS_TOKEN?.trim() ?? '';
    if (this.#token === '') {
      throw new UsageProblem(
        'Set CYRUS_TOKEN to a personal token with the scope admin; docs/api.md says how to make one.',
      );
    }
  }

  /** Asks for something. @param path below `/api/v1` @throws DeploymentProblem */
  async ask<Schema extends z.ZodType>(
    method: string,
    path: string,
    schema: Schema,
    body?: unknown,
  ): Promise<z.output<Schema>> {
    const response = await fetch(`${this.#url}${API_PATH}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch(() => {
      throw new DeploymentProblem(`${this.#url} does not answer: is it the right --url?`, null);
    });
    const text = await response.text();
    const json = text === '' ? null : parseJson(text);
    if (!response.ok) {
      const { data } = problemSchema.safeParse(json);
      const words = data?.detail ?? `${this.#url} answered ${response.status}: is it a deployment of Cyrus?`;
      throw new DeploymentProblem(words, response.status);
    }
    const answer = schema.safeParse(json);
    if (answer.success) return answer.data;
    throw new DeploymentProblem(`${this.#url} answered something else than the API of Cyrus does.`, response.status);
  }

  /** The workspace that is meant: by its id or name, or the only one of the person. @throws UsageProblem, DeploymentProblem */
  async workspace(wanted: string | undefined): Promise<string> {
    const { workspaces } = await this.ask('GET', '/me', callerSchema);
    const fits = ({ id, name }: { id: string; name: string }) => wanted === undefined || [id, name].includes(wanted);
    const [only, ...more] = workspaces.filter(fits);
    if (only && more.length === 0) return only.id;
    // An owner need not be a member of a workspace.
    if (!only && wanted !== undefined) return wanted;
    const names = workspaces.map(({ id, name }) => `${name} (${id})`).join(', ');
    throw new UsageProblem(`Say which workspace: --workspace ID${names === '' ? '' : `, of ${names}`}.`);
  }
}

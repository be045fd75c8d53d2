/** Whether a sandbox comes up: a container of the standard size is started and ended, a sandbox server is asked. */
import * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../lib/error.ts';
import { parseJson } from '../../lib/parse-json.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { bad, type Finding, good, skipped, warn } from '../../protocol/doctor.ts';
import { explainStartFailure } from '../../sandbox/start-failure.ts';

/** Name of the object behind the container that the doctor starts. No session has it. */
const CONTAINER = 'doctor';
const ENDPOINT_LIMIT_MS = 5_000;
const LEAST_FREE_MIB = 2_048;

/** `GET /health` of a sandbox server, as far as it matters here. */
const healthSchema = z.looseObject({
  claude: z.string().nullish(),
  disk: z.looseObject({ freeMiB: z.number() }).nullish().catch(null),
});

/** @param startsContainer false: a container is not started, since that takes time and costs a little */
export async function sandboxFinding(env: Env, { sandbox }: Config, startsContainer: boolean): Promise<Finding> {
  if (sandbox.kind === 'endpoint') return endpointFinding('sandbox', sandbox.url, sandbox.secret);
  if (!startsContainer) return skipped('sandbox', 'No container was started; --sandbox (or ?sandbox=true) does that');
  const object = env.SANDBOX_CONTAINER.getByName(CONTAINER);
  try {
    await object.warm(CONTAINER);
    const reply = await object.ask('/health', 'GET');
    const health = healthSchema.safeParse(parseJson(reply?.text ?? ''));
    if (!health.success) {
      const words = 'A container starts, and its server does not answer as it should';
      return bad('sandbox', words, 'Deploy again, so that Worker and image are of one commit: npm run deploy.');
    }
    return good('sandbox', `A container starts${claudeWords(health.data.claude)}`);
  } catch (error) {
    const { hint } = explainStartFailure(messageOf(error));
    return bad(
      'sandbox',
      `No container starts: ${messageOf(error)}`,
      hint.replace(/[,;] then comment to try again/, ''),
    );
  } finally {
    // It would go to sleep by itself, five minutes later.
    await object.stop('SIGTERM').catch(() => undefined);
  }
}

/** A sandbox server at an address: whether it answers, knows the secret, and has room. */
export async function endpointFinding(name: string, url: string, secret: string): Promise<Finding> {
  const host = new URL(url).host;
  try {
    const [health, status] = await withTimeout(ENDPOINT_LIMIT_MS, async (signal) => {
      const told = await fetch(`${url}/health`, { redirect: 'manual', signal });
      const headers = { authorization: `Bearer ${secret}` };
      const asked = await fetch(`${url}/sessions/${CONTAINER}`, { headers, redirect: 'manual', signal });
      await asked.body?.cancel();
      return [healthSchema.safeParse(await told.json().catch(() => null)), asked.status] as const;
    });
    if (status === 401 || status === 403) {
      return bad(
        name,
        `The sandbox server ${host} does not take the secret`,
        'SANDBOX_ENDPOINT_SECRET, or what is stored for the repository, must be CYRUS_SANDBOX_SECRET of the server.',
      );
    }
    if (!health.success) return bad(name, `What answers at ${host} is no sandbox server`, 'Correct the address.');
    const free = health.data.disk?.freeMiB;
    if (free !== undefined && free < LEAST_FREE_MIB) {
      const words = `The sandbox server ${host} has ${free} MiB of disk left`;
      return warn(name, words, 'Free space on its machine, or give it a larger disk.');
    }
    return good(name, `The sandbox server ${host} answers and takes the secret${claudeWords(health.data.claude)}`);
  } catch (error) {
    const words = `The sandbox server ${host} cannot be reached: ${messageOf(error)}`;
    return bad(name, words, 'Start it, and see that this Worker can reach its address.');
  }
}

/** Read by the command too, which knows the newest. */
function claudeWords(version: string | null | undefined): string {
  return version ? `, with the Claude CLI ${version}` : '';
}

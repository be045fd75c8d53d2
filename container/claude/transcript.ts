/**
 * What is in Claude's conversation, by the transcript that the CLI keeps of it (measured with CLI 2.1.330): a prompt that
 * Claude has read is a line with its id as `uuid`, or as `source_uuid` where it was folded into a running turn. A prompt that
 * only waited in the CLI has no such line, and the next process knows nothing of it.
 */
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { createReadStream } from '../files/inside.ts';

const lineSchema = z.looseObject({
  uuid: z.string().optional(),
  source_uuid: z.string().optional(),
  attachment: z.looseObject({ source_uuid: z.string().optional() }).optional().catch(undefined),
});

/**
 * What became of the prompts that a process which has ended was given and had not answered. The conversation on the disk
 * decides: the next process has that and nothing else.
 * @param paths files that may hold the conversation
 * @param given ids of those prompts
 * @param dropped ids of prompts that no process was given
 */
export async function promptsAtExit(
  paths: readonly string[],
  given: readonly string[],
  dropped: readonly string[],
): Promise<{ read: string[]; unread: string[] }> {
  const found = await promptsInTranscripts(paths, given);
  return {
    read: given.filter((id) => found.has(id)),
    unread: [...given.filter((id) => !found.has(id)), ...dropped],
  };
}

/**
 * @param paths files that may hold the conversation; one that is not there holds nothing
 * @param ids of prompts
 * @returns those of the ids that are in it
 */
async function promptsInTranscripts(paths: readonly string[], ids: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  if (ids.length === 0) return found;
  for (const path of paths) for await (const line of linesOf(path)) for (const id of readIn(line, ids)) found.add(id);
  return found;
}

/**
 * @param content whole lines of a transcript
 * @param ids of prompts
 * @returns those of the ids that are in it
 */
export function promptsInLines(content: Buffer, ids: readonly string[]): string[] {
  const wanted = ids.filter((id) => content.includes(id));
  if (wanted.length === 0) return [];
  return content
    .toString('utf8')
    .split('\n')
    .flatMap((line) => readIn(line, wanted));
}

/** That an id is named somewhere in a line (Claude may have printed it) does not make it a prompt that was read. */
function readIn(line: string, ids: readonly string[]): string[] {
  const named = ids.filter((id) => line.includes(id));
  if (named.length === 0) return [];
  const parsed = lineSchema.safeParse(parseJson(line));
  if (!parsed.success) return [];
  const { uuid, source_uuid, attachment } = parsed.data;
  return named.filter((id) => [uuid, source_uuid, attachment?.source_uuid].includes(id));
}

/** A transcript may be large: it is read line by line. */
async function* linesOf(path: string): AsyncGenerator<string> {
  const stream = createReadStream(path, 'utf8');
  try {
    yield* createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  } finally {
    stream.destroy();
  }
}

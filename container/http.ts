/** What the server's own routes take and refuse: a JSON body, bounded and checked, and the error that says why not. */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { parseJson } from '../src/lib/parse-json.ts';

/** An issue with a long history makes a long prompt, but not a longer one. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** A request that is not carried out: the HTTP status, a stable word for programs, a sentence for people. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly word: string;
  constructor(status: number, word: string, message: string) {
    super(message);
    this.status = status;
    this.word = word;
  }
}

/**
 * Reads the JSON body of a request.
 * @param schema what the body must be
 * @throws Refusal 413, 415 or 400, which names every wrong value
 */
export async function readJson<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  // A page in a browser cannot send this type to another origin without being asked for permission first.
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) {
    throw new Refusal(415, 'not-json', 'The body must be application/json.');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const data: Buffer = chunk;
    bytes += data.length;
    if (bytes > MAX_BODY_BYTES) throw new Refusal(413, 'too-large', `The body is larger than ${MAX_BODY_BYTES} bytes.`);
    chunks.push(data);
  }
  const parsed = schema.safeParse(parseJson(Buffer.concat(chunks).toString('utf8')));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new Refusal(400, 'bad-request', problems.join('; '));
}

/**
 * What leaves a sandbox is accounted for: its bodies are counted and looked through for secrets while they
 * stream, and when the answer has ended there is one line for the egress log.
 */
import type { EgressLine } from '../protocol/egress-log.ts';
import type { Fetch } from './forwarding.ts';
import { type SecretSearch, SecretStream, type Wanted } from './secrets/secret-search.ts';
import { watched } from './watched-stream.ts';

/** Who is told of what leaves a session's sandbox. */
export interface EgressObserver {
  /** A request is over. */
  onLine(line: EgressLine): void;
  /** A secret was about to be sent to a host. */
  onSecret(host: string, secret: Wanted): void;
}

export interface EgressRecord {
  observer: EgressObserver;
  /** The secrets that are looked for; null: none, for Claude may read the sandbox's environment aloud to its own model. */
  secrets: SecretSearch | null;
  /** The request continues with every header it has. Left out: those by which it shows who it is are for the gateway alone. */
  isForeign?: boolean;
  /** What it counts as if it was not forwarded; left out: `refused`. */
  notForwarded?: 'refused' | 'blocked';
  /** Where the request goes and what is told of the address. */
  host: string;
  path: string;
}

const CAUGHT = 'Cyrus: this request contains a credential that must not leave the sandbox. The session is stopped.\n';

/**
 * Carries out a request under observation.
 * @param forward carries it out; what it sends by the fetcher it is given counts as forwarded, all else as refused
 * @returns the answer to hand to the sandbox; 403 where a secret is in the address or the headers
 */
export async function accountFor(
  request: Request,
  passage: EgressRecord,
  fetcher: Fetch,
  forward: (request: Request, fetcher: Fetch) => Promise<Response>,
): Promise<Response> {
  const { observer, host, path } = passage;
  const line: EgressLine = {
    at: Date.now(),
    host,
    method: request.method,
    path,
    verdict: passage.notForwarded ?? 'refused',
    status: 0,
    sent: 0,
    received: 0,
  };
  const { secrets } = passage;
  const alarm = (secret: Wanted) => {
    if (line.verdict !== 'alarm') observer.onSecret(host, secret);
    line.verdict = 'alarm';
  };
  const end = () => observer.onLine(line);
  const shown = [...request.headers].filter(([name]) => passage.isForeign || !IDENTIFYING.has(name));
  const inHead = secrets?.firstIn([request.url, ...shown.flat()].join('\n')) ?? null;
  if (inHead !== null) {
    alarm(inHead);
    line.status = 403;
    end();
    return new Response(CAUGHT, { status: 403, headers: { 'content-type': 'text/plain; charset=utf-8' } });
  }
  const announced = Number(request.headers.get('content-length') ?? Number.NaN);
  // Passed on as it is if nothing is looked for and its size is known: each step in between costs time.
  const isPlain = secrets === null && Number.isSafeInteger(announced) && announced >= 0;
  if (isPlain) line.sent = announced;
  const observed =
    request.body && !isPlain ? new Request(request, bodyInit(watch(request.body, line, secrets, alarm))) : request;
  const counting: Fetch = (outgoing) => {
    if (line.verdict !== 'alarm') line.verdict = 'allowed';
    return fetcher(outgoing);
  };
  let answer: Response;
  try {
    answer = await forward(observed, counting);
  } catch (error) {
    line.status = 502;
    end();
    throw error;
  }
  line.status = answer.status;
  if (!answer.body) {
    end();
    return answer;
  }
  const count = (bytes: Uint8Array) => {
    line.received += bytes.byteLength;
  };
  return new Response(watched(answer.body, { onPiece: count, onEnd: end }), answer);
}

function bodyInit(body: ReadableStream<Uint8Array>): RequestInit & { duplex: 'half' } {
  return { body, duplex: 'half' };
}

/** Headers by which a request shows the gateway whose it is; none of them goes further. */
const IDENTIFYING = new Set(['authorization', 'x-api-key']);

/** What the sandbox sends: counted, and broken off where a secret is in it. */
function watch(
  body: ReadableStream<Uint8Array>,
  line: EgressLine,
  secrets: SecretSearch | null,
  alarm: (secret: Wanted) => void,
): ReadableStream<Uint8Array> {
  const stream = secrets && new SecretStream(secrets);
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        line.sent += chunk.byteLength;
        const secret = stream?.next(chunk) ?? null;
        if (secret === null) {
          controller.enqueue(chunk);
          return;
        }
        alarm(secret);
        controller.error(new Error('the request contained a credential'));
      },
    }),
  );
}

/**
 * What leaves a sandbox is accounted for: its bodies are counted and looked through for the decoy credential while they
 * stream, and when the answer has ended there is one line for the egress log.
 */
import type { EgressLine } from '../protocol/egress-log.ts';
import { DecoyDetector } from './decoy.ts';
import type { Fetch } from './forwarding.ts';
import { watched } from './watched-stream.ts';

/** Who is told of what leaves a session's sandbox. */
export interface EgressObserver {
  /** A request is over. */
  onLine(line: EgressLine): void;
  /** The decoy was about to be sent to a host. */
  onDecoy(host: string): void;
}

export interface Passage {
  observer: EgressObserver;
  /**
   * The parts of the session's decoy; null where it is not looked for: Claude may read the sandbox's environment aloud to its own model.
   */
  decoy: readonly string[] | null;
  /** What it counts as where it was not forwarded; left out: `refused`. */
  notForwarded?: 'refused' | 'blocked';
  /** Where the request goes and what is told of the address. */
  host: string;
  path: string;
}

const CAUGHT =
  'Cyrus: this request holds a credential that has no business leaving the sandbox. The session is stopped.\n';

/**
 * Carries out a request under observation.
 * @param forward carries it out; what it sends by the fetcher it is given counts as forwarded, all else as refused
 * @returns the answer to hand to the sandbox; 403 where the decoy is in the address or the headers
 */
export async function accountFor(
  request: Request,
  passage: Passage,
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
  const detector = passage.decoy === null ? null : new DecoyDetector(passage.decoy);
  const alarm = () => {
    if (line.verdict !== 'alarm') observer.onDecoy(host);
    line.verdict = 'alarm';
  };
  const end = () => observer.onLine(line);
  if (detector?.isIn([request.url, ...[...request.headers].flat()].join('\n'))) {
    alarm();
    line.status = 403;
    end();
    return new Response(CAUGHT, { status: 403, headers: { 'content-type': 'text/plain; charset=utf-8' } });
  }
  const announced = Number(request.headers.get('content-length') ?? Number.NaN);
  // Passed on as it is where nothing is looked for and its size is known: each step in between costs time.
  const isPlain = detector === null && Number.isSafeInteger(announced) && announced >= 0;
  if (isPlain) line.sent = announced;
  const observed =
    request.body && !isPlain ? new Request(request, bodyInit(watch(request.body, line, detector, alarm))) : request;
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

/** What the sandbox sends: counted, and broken off where the decoy is in it. */
function watch(
  body: ReadableStream<Uint8Array>,
  line: EgressLine,
  detector: DecoyDetector | null,
  alarm: () => void,
): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        line.sent += chunk.byteLength;
        if (!detector?.isInNext(chunk)) {
          controller.enqueue(chunk);
          return;
        }
        alarm();
        controller.error(new Error('the request held the decoy credential'));
      },
    }),
  );
}

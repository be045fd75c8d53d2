/**
 * A stand-in for Claude's API: a server that speaks the Messages API and answers from scripts (scripts.ts). What the CLI
 * does with the answers is real. It listens on the loopback interface alone and keeps nothing but a log of its requests.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ZodError } from 'zod';
import { isSameSecret } from '../same-secret.ts';
import { makeId, toAnswer } from './answer.ts';
import { nextMessage } from './engine.ts';
import { breakOffOf, createFaultPlan, type Fault, type FaultInput, faultAnswer, faultSchema } from './faults.ts';
import {
  ApiRefusal,
  checkConversation,
  countTokensRequestSchema,
  errorBody,
  estimateTokens,
  messagesRequestSchema,
  readBody,
} from './messages-api.ts';
import { checkModel, listedModels } from './models.ts';
import { allowedHeaders, keyHeaders } from './rate-limits.ts';
import type { Script } from './script.ts';
import { scripts } from './scripts.ts';
import { streamAnswer } from './stream.ts';

export interface ScriptedModelOptions {
  /** 0 or left out: a free one. */
  port?: number;
  /** The one credential that is accepted: the API key, or the token (with or without "Bearer "). Left out: any. */
  expectedCredential?: { header: 'authorization' | 'x-api-key'; value: string };
  /** Milliseconds between two pieces of a streamed answer, so that people can watch; 0 where left out. */
  pace?: number;
  /** Further scripts by name, beside those of scripts.ts. */
  scripts?: Record<string, Script>;
}

/** One request, without its body. */
interface ModelRequest {
  /** Milliseconds since the epoch. */
  at: number;
  method: string;
  /** With the query. */
  path: string;
  /** Credentials are cut to their first characters. */
  headers: Record<string, string>;
  /** Whether the credential was the expected one. */
  authorized: boolean;
  /** Status of the answer; 0 if there was none. */
  status: number;
  stream: boolean;
  model: string | null;
  /** `output_config.effort`. */
  effort: string | null;
  /** Names of the tools that it was offered. */
  tools: string[];
  /** Script that answered, and how many of its steps were done before; null for other requests. */
  script: string | null;
  step: number | null;
}

export interface ScriptedModel {
  /** `http://127.0.0.1:PORT`, for ANTHROPIC_BASE_URL or a gateway. */
  url: string;
  /** Plans a failure of the next request(s) to `POST /v1/messages`. */
  failNext(fault: FaultInput): void;
  /** Forgets planned failures. */
  clearFaults(): void;
  /** Requests so far, oldest first; the last 1,000. */
  requests(): ModelRequest[];
  /** Stops listening and breaks open answers off. */
  close(): Promise<void>;
}

const MAX_REQUESTS_KEPT = 1000;
/** The API's own limit for a request body (https://docs.claude.com/en/api/errors). */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/** The beta without which the API takes no token of a subscription. */
const OAUTH_BETA = 'oauth-2025-04-20';

/**
 * Starts the model.
 * @throws Node's EADDRINUSE error when the port is taken
 */
export async function startScriptedModel(options: ScriptedModelOptions = {}): Promise<ScriptedModel> {
  const log: ModelRequest[] = [];
  const faults = createFaultPlan();

  const answerMessages = async (exchange: Exchange): Promise<void> => {
    const { response, entry } = exchange;
    const fault = faults.take();
    const subscription = exchange.request.headers['x-api-key'] === undefined;
    const text = await readText(exchange.request);
    if (await failInstead(exchange, fault, subscription)) return;

    const request = readBody(messagesRequestSchema, text);
    entry.model = request.model;
    entry.effort = request.output_config?.effort ?? null;
    entry.stream = request.stream ?? false;
    checkModel(request.model);
    entry.tools = (request.tools ?? []).flatMap(({ name }) => name ?? []);
    checkConversation(request.messages);
    const next = nextMessage(request, { ...scripts, ...options.scripts });
    entry.script = next.script;
    entry.step = next.step;
    const answer = toAnswer(request, next.message);
    for (const [name, value] of Object.entries((subscription ? allowedHeaders : keyHeaders)(Date.now()))) {
      response.setHeader(name, value);
    }
    if (!request.stream) return sendJson(response, 200, answer);
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    const broken = breakOffOf(fault, exchange.requestId);
    return streamAnswer(response, answer, {
      paceMs: next.message.paceMs ?? options.pace ?? 0,
      wordsPerDelta: next.message.wordsPerDelta ?? 4,
      pauseMs: 'pauseMs' in next.message ? (next.message.pauseMs ?? 0) : 0,
      ...(broken ? { breakOff: broken } : {}),
    });
  };

  const answerControl = async ({ request, response }: Exchange, path: string): Promise<void> => {
    if (path === '/control/requests' && request.method === 'GET') return sendJson(response, 200, { requests: log });
    if (path === '/control/faults' && request.method === 'POST') {
      faults.add(readBody(faultSchema, await readText(request)));
      return sendJson(response, 200, { planned: true });
    }
    if (path === '/control/faults' && request.method === 'DELETE') {
      faults.clear();
      return sendJson(response, 200, { planned: false });
    }
    throw new ApiRefusal(404, 'not_found_error', 'Not found');
  };

  const answer = async (exchange: Exchange): Promise<void> => {
    const { request, response, entry } = exchange;
    const path = new URL(entry.path, 'http://model').pathname;
    if (path.startsWith('/control/')) return answerControl(exchange, path);
    log.push(entry);
    if (log.length > MAX_REQUESTS_KEPT) log.shift();
    if (request.method === 'HEAD' || path === '/api/hello') return void response.writeHead(200).end();
    if (!entry.authorized) throw refusedCredential(request);
    checkBeta(request);
    const route = `${request.method} ${path}`;
    if (route === 'POST /v1/messages') return answerMessages(exchange);
    if (route === 'POST /v1/messages/count_tokens') {
      const { model, system, tools, messages } = readBody(countTokensRequestSchema, await readText(request));
      checkModel(model);
      return sendJson(response, 200, { input_tokens: estimateTokens([system, tools, messages]) });
    }
    if (route === 'GET /v1/models') {
      return sendJson(response, 200, {
        data: listedModels,
        has_more: false,
        first_id: listedModels[0]?.id,
        last_id: listedModels.at(-1)?.id,
      });
    }
    const [, named] = /^GET \/v1\/models\/([^/]+)$/.exec(route) ?? [];
    if (named !== undefined) {
      const model = listedModels.find(({ id }) => id === decodeURIComponent(named));
      if (!model) throw new ApiRefusal(404, 'not_found_error', `model: ${decodeURIComponent(named)}`);
      return sendJson(response, 200, model);
    }
    throw new ApiRefusal(404, 'not_found_error', 'Not found');
  };

  const server = createServer((request, response) => {
    const requestId = makeId('req_01');
    response.setHeader('request-id', requestId);
    const entry = logEntry(request, options.expectedCredential);
    response.on('close', () => {
      entry.status = response.headersSent ? response.statusCode : 0;
    });
    answer({ request, response, entry, requestId }).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy();
      const refusal =
        error instanceof ApiRefusal
          ? error
          : new ApiRefusal(error instanceof ZodError ? 400 : 500, 'api_error', String(error));
      if (refusal.status === 401) response.setHeader('x-should-retry', 'false');
      sendJson(response, refusal.status, errorBody(refusal.type, refusal.message, requestId));
    });
  });
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(options.port ?? 0, '127.0.0.1', listening);
  });
  // A server that listens on a port has an AddressInfo (a string only for pipes).
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    failNext: faults.add,
    clearFaults: faults.clear,
    requests: () => [...log],
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  entry: ModelRequest;
  requestId: string;
}

/** Carries out a fault that comes before any answer. True when it did. */
async function failInstead(exchange: Exchange, fault: Fault | null, subscription: boolean): Promise<boolean> {
  const { response } = exchange;
  if (fault === null) return false;
  if ('drop' in fault) response.destroy();
  else if ('hang' in fault) await once(response, 'close');
  else if (!('status' in fault)) return false;
  else {
    const { body, headers } = faultAnswer(fault, subscription, exchange.requestId, Date.now());
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    sendJson(response, fault.status, body);
  }
  return true;
}

function logEntry(request: IncomingMessage, expected: ScriptedModelOptions['expectedCredential']): ModelRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    const text = String(value);
    const secret = name === 'x-api-key' || name.includes('authorization') || name === 'cookie';
    headers[name] = secret ? concealed(text) : text;
  }
  return {
    at: Date.now(),
    method: request.method ?? '',
    path: request.url ?? '/',
    headers,
    authorized: isExpected(request, expected),
    status: 0,
    stream: false,
    model: null,
    effort: null,
    tools: [],
    script: null,
    step: null,
  };
}

/** Enough to tell two credentials apart, never one that could be used. */
function concealed(credential: string): string {
  const [, scheme = '', token = ''] = /^(bearer |basic )?(.*)$/is.exec(credential) ?? [];
  return `${scheme}${token.slice(0, Math.min(8, token.length / 4))}… (${token.length} characters)`;
}

/** The expected credential, and no other beside it: the API would charge an API key that comes along. */
function isExpected(request: IncomingMessage, expected: ScriptedModelOptions['expectedCredential']): boolean {
  if (!expected) return true;
  const other = expected.header === 'x-api-key' ? 'authorization' : 'x-api-key';
  if (request.headers[other] !== undefined) return false;
  const bare = (value: string) => value.replace(/^bearer /i, '');
  return isSameSecret(bare(String(request.headers[expected.header] ?? '')), bare(expected.value));
}

function refusedCredential(request: IncomingMessage): ApiRefusal {
  const message =
    request.headers['x-api-key'] !== undefined
      ? 'invalid x-api-key'
      : request.headers.authorization === undefined
        ? 'x-api-key header is required'
        : 'Invalid bearer token';
  return new ApiRefusal(401, 'authentication_error', message);
}

/** A token of a subscription needs its beta in each request. @throws ApiRefusal 401 */
function checkBeta({ headers }: IncomingMessage): void {
  if (headers.authorization === undefined || headers['x-api-key'] !== undefined) return;
  const betas = String(headers['anthropic-beta'] ?? '').split(',');
  if (betas.some((beta) => beta.trim() === OAUTH_BETA)) return;
  throw new ApiRefusal(401, 'authentication_error', 'OAuth authentication is currently not supported.');
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new ApiRefusal(413, 'request_too_large', 'Request exceeds the maximum size');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

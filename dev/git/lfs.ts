/**
 * Git LFS as GitHub serves it: the batch API (github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md), and a storage behind
 * it whose addresses are good for one object and one operation, for a while. Objects lie where git-lfs keeps them:
 * `lfs/objects/ab/cd/abcd…` in the repository.
 */
import { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';

/** Largest object that GitHub takes on its plan for everybody (docs.github.com: "About Git Large File Storage"). */
const MAX_OBJECT_BYTES = 2 * 1024 ** 3;
const MAX_BATCH_BYTES = 1024 * 1024;
const MEDIA_TYPE = 'application/vnd.git-lfs+json';
/** How long an address of the storage is good, in s. */
const EXPIRES_IN = 3_600;

const objectSchema = z.object({ oid: z.string(), size: z.number().int() });
const batchSchema = z.object({
  operation: z.enum(['download', 'upload']),
  transfers: z.array(z.string()).optional(),
  objects: z.array(objectSchema).max(1_000),
  hash_algo: z.string().optional(),
});

const verifySchema = z.object({ cursor: z.string().nullish() });

type Operation = 'download' | 'upload' | 'verify';

/** A request below `info/lfs/` of a repository. */
export interface LfsRequest {
  /** `owner/name`, and its directory. */
  fullName: string;
  directory: string;
  /** What follows `info/lfs/`: `objects/batch`, `locks/verify`, `storage/<oid>`, `verify`. */
  resource: string;
  /** Whether the caller's credential may do this. */
  admits: (writes: boolean) => boolean;
}

/** Serves Git LFS for all repositories of a host. */
export class LfsServer {
  readonly #secret = randomBytes(32);
  readonly #url: () => string;
  readonly #locks: { id: string; fullName: string; path: string; locked_at: string; owner: { name: string } }[] = [];

  /** @param url the host's own address */
  constructor(url: () => string) {
    this.#url = url;
  }

  /** A person locks a file. */
  lock(fullName: string, path: string, owner: string): void {
    const locked_at = new Date().toISOString();
    this.#locks.push({ id: String(this.#locks.length + 1), fullName, path, locked_at, owner: { name: owner } });
  }

  /** Answers a request. Never rejects for what a client sent. */
  async serve(request: IncomingMessage, response: ServerResponse, lfs: LfsRequest): Promise<void> {
    const { resource, admits } = lfs;
    const oid = /^storage\/([0-9a-f]{64})$/.exec(resource)?.[1];
    if (oid !== undefined) return await this.#transfer(request, response, lfs, oid);
    if (resource === 'verify' && request.method === 'POST') return await this.#verify(request, response, lfs);
    if (!admits(false)) {
      response.setHeader('lfs-authenticate', 'Basic realm="git host"');
      return say(response, 401, 'Credentials needed');
    }
    if (resource === 'objects/batch' && request.method === 'POST') return await this.#batch(request, response, lfs);
    const locks = this.#locks.filter(({ fullName }) => fullName === lfs.fullName).map(({ fullName: _, ...one }) => one);
    if (resource === 'locks/verify' && request.method === 'POST') {
      // One at a time, so that a client has to ask on.
      const body = verifySchema.safeParse(await readJson(request));
      if (!body.success) return say(response, 422, z.prettifyError(body.error));
      if (!admits(true)) return say(response, 403, 'You must have push access to verify locks');
      const at = Number(body.data.cursor ?? 0);
      const more = at + 1 < locks.length ? { next_cursor: String(at + 1) } : {};
      return send(response, 200, { ours: [], theirs: locks.slice(at, at + 1), ...more });
    }
    if (resource === 'locks' && request.method === 'GET') return send(response, 200, { locks });
    say(response, 404, 'Not Found');
  }

  async #batch(request: IncomingMessage, response: ServerResponse, lfs: LfsRequest): Promise<void> {
    const batch = batchSchema.safeParse(await readJson(request));
    if (!batch.success) return say(response, 422, z.prettifyError(batch.error));
    const { operation, objects, transfers = ['basic'], hash_algo = 'sha256' } = batch.data;
    if (hash_algo !== 'sha256') return say(response, 409, 'The hash algorithm is not acceptable');
    if (!transfers.includes('basic')) return say(response, 422, 'No transfer of these is known here');
    if (operation === 'upload' && !lfs.admits(true)) return say(response, 403, 'You must have push access to upload');
    const answers = await Promise.all(objects.map((object) => this.#answer(operation, object, lfs)));
    send(response, 200, { transfer: 'basic', objects: answers });
  }

  async #answer(operation: 'download' | 'upload', { oid, size }: z.infer<typeof objectSchema>, lfs: LfsRequest) {
    const fail = (code: number, message: string) => ({ oid, size, error: { code, message } });
    if (!/^[0-9a-f]{64}$/.test(oid) || size < 0) return fail(422, 'Invalid object: oid or size');
    if (size > MAX_OBJECT_BYTES) return fail(422, `Size must be less than or equal to ${MAX_OBJECT_BYTES}`);
    const stored = await sizeOf(objectFile(lfs.directory, oid));
    const base = `${this.#url()}/${lfs.fullName}.git/info/lfs`;
    const action = (kind: Operation, href: string) => ({
      href,
      header: { Authorization: this.#ticket(lfs.fullName, kind, oid, size) },
      expires_in: EXPIRES_IN,
    });
    if (operation === 'download') {
      if (stored === null) return fail(404, 'Object does not exist on the server');
      if (stored !== size) return fail(422, 'The size is not that of the object');
      return { oid, size, authenticated: true, actions: { download: action('download', `${base}/storage/${oid}`) } };
    }
    if (stored !== null) return { oid, size };
    const actions = {
      upload: action('upload', `${base}/storage/${oid}`),
      verify: action('verify', `${base}/verify`),
    };
    return { oid, size, authenticated: true, actions };
  }

  async #transfer(request: IncomingMessage, response: ServerResponse, lfs: LfsRequest, oid: string): Promise<void> {
    const { method } = request;
    const operation = method === 'GET' ? 'download' : 'upload';
    if (method !== 'GET' && method !== 'PUT') return say(response, 405, 'Method Not Allowed');
    const size = this.#sizeOnTicket(request.headers.authorization, lfs.fullName, operation, oid);
    if (size === null) return say(response, 403, 'RemoteAuth is missing, expired, or for something else');
    const file = objectFile(lfs.directory, oid);
    if (operation === 'download') {
      const stored = await sizeOf(file);
      if (stored === null) return say(response, 404, 'Object does not exist on the server');
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': stored });
      // A client that goes away breaks the pipe.
      await pipeline(createReadStream(file), response).catch(() => response.destroy());
      return;
    }
    const announced = request.headers['content-length'];
    // Storage behind signed addresses takes no body of unknown length.
    if (announced === undefined) return say(response, 411, 'You must provide the Content-Length HTTP header.');
    if (Number(announced) !== size) return say(response, 422, 'The size is not the announced one');
    const part = join(lfs.directory, 'lfs', `incoming-${randomUUID()}`);
    await mkdir(join(file, '..'), { recursive: true });
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk));
    try {
      await pipeline(request, createWriteStream(part));
      if (hash.digest('hex') !== oid) return say(response, 422, 'The content does not match the oid');
      await rename(part, file);
    } catch {
      return response.destroy() && undefined;
    } finally {
      await rm(part, { force: true });
    }
    response.writeHead(200).end();
  }

  async #verify(request: IncomingMessage, response: ServerResponse, lfs: LfsRequest): Promise<void> {
    const object = objectSchema.safeParse(await readJson(request));
    if (!object.success) return say(response, 422, z.prettifyError(object.error));
    const { oid, size } = object.data;
    if (this.#sizeOnTicket(request.headers.authorization, lfs.fullName, 'verify', oid) !== size) {
      return say(response, 403, 'RemoteAuth is missing, expired, or for something else');
    }
    const stored = /^[0-9a-f]{64}$/.test(oid) ? await sizeOf(objectFile(lfs.directory, oid)) : null;
    if (stored !== size) return say(response, 404, 'Object does not exist on the server');
    send(response, 200, {});
  }

  #ticket(fullName: string, operation: Operation, oid: string, size: number): string {
    const until = Math.floor(Date.now() / 1000) + EXPIRES_IN;
    return `RemoteAuth ${size}.${until}.${this.#sign(fullName, operation, oid, size, until)}`;
  }

  #sizeOnTicket(header: string | undefined, fullName: string, operation: Operation, oid: string): number | null {
    const [, size = '', until = '', signature = ''] =
      /^RemoteAuth (\d+)\.(\d+)\.([0-9a-f]{64})$/.exec(header ?? '') ?? [];
    const wanted = Buffer.from(this.#sign(fullName, operation, oid, Number(size), Number(until)));
    const given = Buffer.from(signature);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return null;
    return Number(until) * 1000 > Date.now() ? Number(size) : null;
  }

  #sign(...parts: (string | number)[]): string {
    return createHmac('sha256', this.#secret).update(JSON.stringify(parts)).digest('hex');
  }
}

/** Where an object lies in a repository. */
function objectFile(directory: string, oid: string): string {
  return join(directory, 'lfs', 'objects', oid.slice(0, 2), oid.slice(2, 4), oid);
}

async function sizeOf(file: string): Promise<number | null> {
  const found = await stat(file).catch(() => null);
  return found?.isFile() ? found.size : null;
}

/** @returns null for what is too large or no JSON */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size <= MAX_BATCH_BYTES) chunks.push(chunk as Buffer);
  }
  if (size > MAX_BATCH_BYTES) return null;
  return parseJson(Buffer.concat(chunks).toString('utf8')) ?? null;
}

function say(response: ServerResponse, status: number, message: string): void {
  send(response, status, { message, documentation_url: 'https://docs.github.com/en/repositories' });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': MEDIA_TYPE }).end(JSON.stringify(body));
}

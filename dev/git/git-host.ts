/**
 * A git host for development and tests: smart HTTP with basic auth over the machine's own git, Git LFS, and pages that show
 * what came of it. It listens on the loopback interface alone.
 */
import { mkdir, readdir, rename } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../src/lib/error.ts';
import { isSameSecret } from '../same-secret.ts';
import { findHttpBackend, GitCommandError } from './git-command.ts';
import type { Html } from './html.ts';
import { serveGit } from './http-backend.ts';
import { LfsServer } from './lfs.ts';
import { branchPage, commitPage, errorPage, filePage, indexPage, repositoryPage } from './pages.ts';
import { receiveSettings, writeReceiveHooks } from './receive-hooks.ts';
import { type Branch, type LoggedCommit, listBranches, readFileAt, readLog, UnknownRefError } from './repository.ts';
import { type BranchRules, underRules } from './ruled-branches.ts';
import { type RepositorySeed, seedRepository } from './seed.ts';

export interface GitHostOptions {
  /** Directory for the bare repositories, `owner/name.git`; made when missing. */
  root: string;
  /** 0 or left out: a free one. */
  port?: number;
  /** The one basic credential that may fetch and push everything. */
  username: string;
  password: string;
  /** Whether another credential may do this: `password` is a token, `writes` tells a push from a fetch. */
  admits?: (password: string, fullName: string, writes: boolean) => boolean;
  /** Rules for the branches of a repository; null: there are none. */
  rules?: (fullName: string) => BranchRules | null;
}

/** One request for git data (not for a page), as it was answered. */
interface GitHostRequest {
  /** Milliseconds since the epoch. */
  at: number;
  method: string;
  /** With the query, e.g. `/acme/shop.git/info/refs?service=git-upload-pack`. */
  path: string;
  status: number;
}

export interface GitHost {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** Directory of a bare repository; null if there is none. */
  directory(fullName: string): Promise<string | null>;
  /** Address to clone from, without credentials. */
  cloneUrl(fullName: string): string;
  /** Page that shows a branch. */
  branchUrl(fullName: string, branch: string): string;
  /** Makes the repository from the seed unless it is there. True when it was made now. */
  ensureRepository(fullName: string, seed: RepositorySeed): Promise<boolean>;
  /** Commits of a branch or commit, newest first, at most 200. Throws UnknownRefError. */
  log(fullName: string, ref: string): Promise<LoggedCommit[]>;
  /** Branches, the one with the newest commit first. */
  branches(fullName: string): Promise<Branch[]>;
  /** Text of a file of a branch or commit. Throws UnknownRefError, GitCommandError if there is no such file. */
  readFile(fullName: string, ref: string, path: string): Promise<string>;
  /** The next `times` git requests with a right credential are answered with `status` instead of served. */
  failNext(times: number, status: number): void;
  /** Every git request from now on waits this long, in milliseconds, before it is served; 0 ends it. */
  slowDown(ms: number): void;
  /** Refuses every push to these branches, and to those below them (`release/1.0` of `release`); none: all are open again. */
  protect(fullName: string, ...branches: string[]): void;
  /** Gives a repository another name; git's requests for the former one are redirected, as GitHub does. */
  rename(fullName: string, to: string): Promise<void>;
  /** A person locks a file in Git LFS. */
  lockFile(fullName: string, path: string, owner: string): void;
  /** Git requests so far, oldest first; the last 1,000. */
  requests(): GitHostRequest[];
  /** Stops listening and breaks open connections off. */
  close(): Promise<void>;
}

/** `owner/name` is not something this host serves. */
export class RepositoryNameError extends Error {
  override readonly name = 'RepositoryNameError';
  constructor(fullName: string) {
    super(
      `${JSON.stringify(fullName)} is not owner/name: each part has letters, digits, ".", "_", "-" and does not start with a dot or end with ".git"`,
    );
  }
}

const MAX_REQUESTS_KEPT = 1000;
/** No part may start with a dot, so no path can leave the root or reach a half-made repository. */
const namePart = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const gitRoute = /^\/([^/]+)\/([^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/;
const lfsRoute = /^\/([^/]+)\/([^/]+?)(?:\.git)?\/(info\/lfs\/.+)$/;
const LFS = 'info/lfs/';

/**
 * Starts the host.
 * @throws GitMissingError without git or its http-backend; Node's EADDRINUSE error when the port is taken
 */
export async function startGitHost(options: GitHostOptions): Promise<GitHost> {
  const program = await findHttpBackend();
  const root = resolve(options.root);
  await mkdir(root, { recursive: true });

  const hooks = await writeReceiveHooks(root);
  const protectedBranches = new Map<string, string[]>();
  /** Where former names lead. */
  const renamed = new Map<string, string>();
  const log: GitHostRequest[] = [];
  let failures = { left: 0, status: 500 };
  let delayMs = 0;

  const directoryOf = (fullName: string): string => {
    const [owner = '', name = '', ...rest] = fullName.split('/');
    const valid = rest.length === 0 && namePart.test(owner) && namePart.test(name) && !name.endsWith('.git');
    if (!valid) throw new RepositoryNameError(fullName);
    return join(root, owner, `${name}.git`);
  };

  const lfs = new LfsServer(() => url);

  const isAdmitted = (authorization: string | undefined, fullName: string, writes: boolean): boolean => {
    if (authorized(authorization, options.username, options.password)) return true;
    const given = /^basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
    const [, password] = /^[^:]*:(.+)$/.exec(Buffer.from(given ?? '', 'base64').toString('utf8')) ?? [];
    if (password === undefined) return false;
    return options.admits?.(password, fullName, writes) ?? false;
  };

  const answerGit = async (request: IncomingMessage, response: ServerResponse, route: GitRoute): Promise<void> => {
    const { authorization } = request.headers;
    const { fullName, service, query } = route;
    const isLfs = service.startsWith(LFS);
    const writes = service === 'git-receive-pack' || query.includes('git-receive-pack');
    if (!isLfs && !isAdmitted(authorization, fullName, writes)) {
      response.setHeader('www-authenticate', 'Basic realm="git host", charset="UTF-8"');
      return refuse(response, 401, 'This git host needs a user name and a password.');
    }
    if (delayMs > 0) await pause(delayMs);
    if (failures.left > 0) {
      failures.left--;
      return refuse(response, failures.status, 'This git host was told to fail.');
    }
    if (!(await repositoryNames(root)).includes(fullName)) {
      const to = renamed.get(fullName);
      if (to === undefined) return refuse(response, 404, `There is no repository ${fullName}.`);
      response.setHeader('location', `${url}/${to}.git/${service}${query === '' ? '' : `?${query}`}`);
      return refuse(response, 301, `Moved permanently to ${to}.`);
    }
    if (isLfs) {
      const resource = service.slice(LFS.length);
      const admits = (forWriting: boolean) => isAdmitted(authorization, fullName, forWriting);
      return await lfs.serve(request, response, { fullName, directory: directoryOf(fullName), resource, admits });
    }
    const path = `/${fullName}.git/${service}`;
    const settings = receiveSettings(hooks, protectedBranches.get(fullName) ?? []);
    const rules = service === 'git-receive-pack' ? (options.rules?.(fullName) ?? null) : null;
    const body = rules ? await underRules(request, response, rules) : request;
    if (body === null) return;
    await serveGit(request, response, { body, program, root, path, query, user: options.username, settings });
  };

  const answerPage = async (response: ServerResponse, url: URL): Promise<void> => {
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const [owner = '', name = '', kind, ...rest] = parts;
    const names = await repositoryNames(root);
    if (url.pathname === '/') {
      const repositories = names.map((fullName) => ({
        fullName,
        directory: directoryOf(fullName),
        cloneUrl: host.cloneUrl(fullName),
      }));
      return sendPage(response, 200, await indexPage(repositories));
    }
    const fullName = `${owner}/${name.replace(/\.git$/, '')}`;
    if (!names.includes(fullName)) return sendPage(response, 404, errorPage(`There is no repository ${fullName}.`));
    const directory = directoryOf(fullName);
    const ref = rest.join('/');
    if (kind === undefined || kind === '') return sendPage(response, 200, await repositoryPage(fullName, directory));
    if (kind === 'tree') return sendPage(response, 200, await branchPage(fullName, directory, ref));
    if (kind === 'commit') return sendPage(response, 200, await commitPage(fullName, directory, ref));
    const path = url.searchParams.get('path');
    if (kind === 'blob' && path) return sendPage(response, 200, await filePage(fullName, directory, ref, path));
    return sendPage(response, 404, errorPage('There is no such page.'));
  };

  const server = createServer((request, response) => {
    const route = readRoute(request);
    const answer = async () => {
      if (route === null) return refuse(response, 400, 'This address cannot be read.');
      if (route instanceof URL) {
        if (request.method === 'GET' || request.method === 'HEAD') return answerPage(response, route);
        return refuse(response, 405, 'Pages can only be read.');
      }
      response.on('close', () => {
        log.push({
          at: Date.now(),
          method: request.method ?? '',
          path: request.url ?? '',
          status: response.statusCode,
        });
        if (log.length > MAX_REQUESTS_KEPT) log.shift();
      });
      return answerGit(request, response, route);
    };
    answer().catch((error: unknown) => {
      const absent = error instanceof UnknownRefError || error instanceof GitCommandError || error instanceof URIError;
      const message = messageOf(error);
      if (response.headersSent) response.destroy();
      else sendPage(response, absent ? 404 : 500, errorPage(message));
    });
  });
  // A push may take as long as it takes.
  server.requestTimeout = 0;
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(options.port ?? 0, '127.0.0.1', listening);
  });
  // A server that listens on a port has an AddressInfo (a string only for pipes).
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  const host: GitHost = {
    url,
    directory: async (fullName) => ((await repositoryNames(root)).includes(fullName) ? directoryOf(fullName) : null),
    cloneUrl: (fullName) => `${url}/${fullName}.git`,
    branchUrl: (fullName, branch) => `${url}/${fullName}/tree/${branch.split('/').map(encodeURIComponent).join('/')}`,
    ensureRepository: async (fullName, seed) => seedRepository(directoryOf(fullName), seed),
    log: async (fullName, ref) => readLog(directoryOf(fullName), ref),
    branches: async (fullName) => listBranches(directoryOf(fullName)),
    readFile: async (fullName, ref, path) => readFileAt(directoryOf(fullName), ref, path),
    failNext: (times, status) => {
      failures = { left: times, status };
    },
    slowDown: (ms) => {
      delayMs = ms;
    },
    protect: (fullName, ...branches) => {
      protectedBranches.set(fullName, branches);
    },
    rename: async (fullName, to) => {
      await mkdir(dirname(directoryOf(to)), { recursive: true });
      await rename(directoryOf(fullName), directoryOf(to));
      // A former name leads to where the repository is now, over all the names in between.
      for (const [from, name] of renamed) if (name === fullName) renamed.set(from, to);
      renamed.set(fullName, to);
      renamed.delete(to);
    },
    lockFile: (fullName, path, owner) => lfs.lock(fullName, path, owner),
    requests: () => [...log],
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return host;
}

interface GitRoute {
  fullName: string;
  /** `info/refs`, `git-upload-pack`, `git-receive-pack`, or what begins with `info/lfs/`. */
  service: string;
  query: string;
}

/** A git request, the address of a page, or null for what is no address. Only smart HTTP is git here. */
function readRoute(request: IncomingMessage): GitRoute | URL | null {
  let url: URL;
  try {
    url = new URL(request.url ?? '/', 'http://git.host');
  } catch {
    return null;
  }
  const lfs = lfsRoute.exec(url.pathname);
  if (lfs) {
    const [, owner = '', name = '', service = ''] = lfs;
    return { fullName: `${owner}/${name}`, service, query: '' };
  }
  const match = gitRoute.exec(url.pathname);
  if (!match) return url;
  const [, owner = '', name = '', service = ''] = match;
  const asks = service === 'info/refs';
  if (request.method !== (asks ? 'GET' : 'POST')) return url;
  if (asks && !/^git-(upload|receive)-pack$/.test(url.searchParams.get('service') ?? '')) return url;
  return { fullName: `${owner}/${name}`, service, query: url.search.slice(1) };
}

/** `owner/name` of every repository under the root, in alphabetical order. */
async function repositoryNames(root: string): Promise<string[]> {
  const names: string[] = [];
  for (const owner of await readdir(root, { withFileTypes: true })) {
    if (!owner.isDirectory() || !namePart.test(owner.name)) continue;
    for (const entry of await readdir(join(root, owner.name))) {
      const name = entry.replace(/\.git$/, '');
      if (entry.endsWith('.git') && namePart.test(name)) names.push(`${owner.name}/${name}`);
    }
  }
  return names.sort();
}

function authorized(header: string | undefined, username: string, password: string): boolean {
  const given = /^basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1];
  if (!given) return false;
  return isSameSecret(Buffer.from(given, 'base64'), `${username}:${password}`);
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${message}\n`);
}

function sendPage(response: ServerResponse, status: number, content: Html): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    'x-content-type-options': 'nosniff',
  });
  response.end(content.text);
}

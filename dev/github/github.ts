/**
 * A stand-in for GitHub: its REST API with an App's tokens, its errors and limits, and pages that show pull requests. The
 * repositories themselves are the git host's, which takes this stand-in's tokens. It listens on the loopback interface alone.
 *
 * `/` shows the pull requests, `/api/v3` is the API. `/control` is for people and tests: `GET /control/pulls` and `/control/requests`
 * list them, `PUT /control/faults` with `{"faults":[{"kind":"server-error","times":2,"match":"POST /repos"}]}` has it misbehave
 * (kinds: faults.ts), an empty list ends that, `POST /control/revoke` ends every installation token. `PUT /control/rulesets` with
 * `{"repository":"acme/shop","rulesets":[{"include":["cyrus/**"],"rules":[{"type":"creation"}]}]}` sets a repository's rulesets;
 * `PUT /control/checks` with `{"repository":"acme/shop","commit":"…","runs":[{"name":"test","status":"completed","conclusion":"success"}]}`
 * sets what is reported of a commit.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { z } from 'zod';
import { messageOf } from '../../src/lib/error.ts';
import { parseJson } from '../../src/lib/parse-json.ts';
import { GitCommandError } from '../git/git-command.ts';
import type { Html } from '../git/html.ts';
import type { BranchRules } from '../git/ruled-branches.ts';
import { readBody, readForm, sendJson, sendText, TooLargeError } from '../linear/http.ts';
import { type Answer, Refused } from './answers.ts';
import { controlOf } from './control.ts';
import { type Fault, type FaultInput, Faults, NONSENSE } from './faults.ts';
import { errorPage, listPage, pagePath, pullPage } from './pages.ts';
import { type LineComment, type Place, Pulls } from './pulls.ts';
import { commitsBetween, differenceOf, headOf, type Locate } from './repositories.ts';
import { type ApiParts, answerApi, jobLog } from './rest.ts';
import { pushRules } from './rules.ts';
import {
  commitChecksSchema,
  type GitHubState,
  loadState,
  newState,
  type Permissions,
  type Pull,
  type Ruleset,
  saveState,
} from './state.ts';
import { teller } from './tell.ts';
import { isAmong, mayDo, Tokens } from './tokens.ts';
import { Webhooks } from './webhooks.ts';

export interface GitHubOptions {
  /** 0 or left out: a free one. */
  port?: number;
  /** Keeps app and pull requests across restarts. */
  dataFile?: string;
  /** A way to the bare repository of `owner/name`, or null. */
  locate: Locate;
  cloneUrl: (fullName: string) => string;
  /** Page of the git host that shows a branch. */
  branchUrl: (fullName: string, branch: string) => string;
  /** Where the App's webhooks go; left out: nowhere. */
  webhookUrl?: string;
  /** The clock, in ms since the epoch. */
  now?: () => number;
}

/** One request to the API, as it was answered; status 0: it was not. */
export interface GitHubRequest {
  /** Milliseconds since the epoch. */
  at: number;
  method: string;
  /** Below the API's address, with the query. */
  path: string;
  status: number;
}

export interface GitHub {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** Where the REST API is, as GitHub Enterprise Server has it. */
  apiUrl: string;
  /** The app: its id, its private key as GitHub gives it out (PKCS#1 PEM), and what signs its webhooks. */
  app: { id: string; clientId: string; privateKey: string; webhookSecret: string };
  /** Installs the app on repositories of their owner, or changes what it may do there. @returns the installation's id */
  install(repositories: string[], permissions?: Permissions): number;
  /** Takes the app away from an owner. */
  uninstall(owner: string): void;
  /** Suspends the app's installation of an owner, or lifts that. */
  suspend(owner: string, suspended: boolean): void;
  /** Gives a person's token, made up if none is given. @returns the token */
  addToken(token: {
    token?: string;
    login?: string;
    repositories: string[];
    permissions?: Permissions;
    expiresAt?: number;
  }): string;
  /** Ends a person's token. */
  removeToken(token: string): void;
  /** Ends every installation token given out so far. */
  revokeInstallationTokens(): void;
  /** The installation tokens that are still good. */
  installationTokens(): readonly string[];
  /** Gives a repository another name, under which the git host has it already; its tokens and installations follow. */
  rename(from: string, to: string): void;
  /** Private repositories of a free account have no drafts. */
  withoutDrafts(fullName: string): void;
  /** The rulesets of a repository, in place of those that it had. */
  setRulesets(fullName: string, ...rulesets: Ruleset[]): void;
  /** What is reported of a commit, in place of what was. */
  setChecks(checks: z.input<typeof commitChecksSchema>): void;
  /** The webhooks of the App. */
  webhooks: Webhooks;
  /** Waits until everything that happened was told by webhooks, and answered. */
  settled(): Promise<void>;
  /** What a person may do in a repository. */
  setPermission(fullName: string, login: string, permission: GitHubState['collaborators'][number]['permission']): void;
  /** A person reviews a pull request, with words and with comments on lines; or is asked to. */
  review(
    fullName: string,
    number: number,
    login: string,
    state: Pull['reviews'][number]['state'] | 'ASKED',
    words?: { body?: string; comments?: LineComment[] },
  ): Promise<void>;
  /** A person answers in the thread that begins with this comment. */
  reply(fullName: string, number: number, to: number, login: string, body: string): void;
  /** What goes wrong from now on; none: all is well again. */
  misbehave(...faults: FaultInput[]): void;
  /** Pull requests, the newest first. */
  pulls(): Pull[];
  /** Changes a pull request as a person would. */
  change(
    fullName: string,
    number: number,
    change: { title?: string; body?: string; state?: 'open' | 'closed' },
  ): Promise<Pull>;
  /** People comment on a pull request, one comment a text. */
  comment(fullName: string, number: number, ...texts: string[]): void;
  /** Somebody comments on a pull request. */
  commentAs(fullName: string, number: number, login: string, body: string): void;
  /** Merges a pull request. */
  merge(fullName: string, number: number): Promise<Pull>;
  /** Whether git may fetch from or push to a repository with this credential. The user name says nothing, as with GitHub. */
  admitsGit(password: string, fullName: string, writes: boolean): boolean;
  /** What the rulesets of a repository say of pushes; null: it has none. */
  branchRules(fullName: string): BranchRules | null;
  /** Requests to the API so far, oldest first; the last 1,000. */
  requests(): GitHubRequest[];
  close(): Promise<void>;
}

const API = '/api/v3';
const MAX_REQUESTS_KEPT = 1000;
const MAX_BODY_BYTES = 1024 * 1024;
/** What an installation may do unless told otherwise: what Cyrus asks an app for. */
const USUAL_PERMISSIONS: Permissions = {
  contents: 'write',
  pull_requests: 'write',
  checks: 'read',
  statuses: 'read',
  actions: 'read',
};

/** Starts the stand-in. @throws Node's EADDRINUSE error when the port is taken; Error where the data file is damaged */
export async function startGitHub(options: GitHubOptions): Promise<GitHub> {
  const { dataFile, locate, now = Date.now } = options;
  const state: GitHubState = dataFile === undefined ? newState() : loadState(dataFile);
  const save = () => {
    if (dataFile !== undefined) saveState(dataFile, state);
  };
  save();
  const tokens = new Tokens(state, now);
  const webhooks = new Webhooks(now);
  const { webhookUrl } = options;
  if (webhookUrl !== undefined) webhooks.sendTo({ url: webhookUrl, secret: state.app.webhookSecret });
  const pulls = new Pulls(state, now, (event) => tell(event));
  const faults = new Faults(now);
  const log: GitHubRequest[] = [];

  const answerRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'github'}`);
    if (url.pathname.startsWith(`${API}/`)) return serveApi(request, response, url);
    if (url.pathname.startsWith('/control/')) return serveControl(request, response, url);
    return servePages(request, response, url);
  };

  const serveApi = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    const path = url.pathname.slice(API.length);
    const { method = 'GET' } = request;
    const body = parseJson((await readBody(request, MAX_BODY_BYTES)).toString('utf8'));
    const { answer, fault } = await apiAnswer({
      method,
      path,
      url,
      authorization: request.headers.authorization,
      userAgent: request.headers['user-agent'],
      apiVersion: request.headers['x-github-api-version']?.toString(),
      body,
    });
    const isLost = fault?.kind === 'lost-answer';
    log.push({ at: now(), method, path: path + url.search, status: isLost ? 0 : answer.status });
    if (log.length > MAX_REQUESTS_KEPT) log.shift();
    if (method !== 'GET') save();
    if (isLost) {
      response.destroy();
      return;
    }
    const shown = fault?.kind === 'nonsense' ? NONSENSE : answer;
    const headers = { ...faults.headers(), ...GENERAL_HEADERS, 'x-github-request-id': requestId(), ...shown.headers };
    if (shown.numericIds) {
      const text = JSON.stringify(shown.body).replace(/"id":"(\d+)"/g, '"id":$1');
      response.writeHead(shown.status, { ...headers, 'content-type': 'application/json; charset=utf-8' }).end(text);
      return;
    }
    if (shown.body) return sendJson(response, shown.status, shown.body, headers);
    response.writeHead(shown.status, { ...headers, 'content-type': 'text/html' }).end('<h1>Unicorn!</h1>');
  };

  const apiAnswer = async (
    request: Parameters<typeof answerApi>[1],
  ): Promise<{ answer: Answer; fault: Fault | null }> => {
    let fault: Fault | null = null;
    try {
      fault = await faults.before(request.method, request.path);
      return { answer: await answerApi(parts, request), fault };
    } catch (error) {
      if (error instanceof Refused) return { answer: error.answer, fault };
      throw error;
    }
  };

  const setRulesets = (fullName: string, ...rulesets: Ruleset[]): void => {
    const others = state.rulesets.filter(({ repository }) => repository !== fullName);
    state.rulesets = [...others, ...rulesets.map((one) => ({ ...one, repository: fullName }))];
    save();
  };

  const setChecks = (input: z.input<typeof commitChecksSchema>): void => {
    const given = commitChecksSchema.parse(input);
    const runs = given.runs.map((run) => ({ id: ++state.lastId, ...run }));
    const checks = { ...given, runs };
    const others = state.checks.filter(
      ({ repository, commit }) => repository !== checks.repository || commit !== checks.commit,
    );
    state.checks = [...others, checks];
    save();
    tellChecks(checks);
  };

  const serveControl = controlOf({
    pulls,
    requests: () => log,
    faults,
    tokens,
    setRulesets,
    setChecks,
  });

  const servePages = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    if (url.pathname === '/') return sendPage(response, 200, listPage(pulls.all()));
    const logOf = /^\/_logs\/(\d+)$/.exec(url.pathname)?.[1];
    if (logOf !== undefined) return sendText(response, 200, jobLog(state, Number(logOf)) ?? '');
    const [, owner = '', name = '', kind, number = '', action = ''] = url.pathname.split('/').map(decodeURIComponent);
    const fullName = `${owner}/${name}`;
    const directory = kind === 'pull' ? await locate(fullName) : null;
    if (directory === null) return sendPage(response, 404, errorPage('There is no such page.'));
    const place = { fullName, directory };
    const pull = pulls.find(fullName, Number(number));
    if (request.method === 'POST') {
      await carryOut(place, pull, action, (await readForm(request)) ?? new URLSearchParams());
      save();
      response.writeHead(303, { location: pagePath(pull) }).end();
      return;
    }
    const [base, head] = await Promise.all([headOf(directory, pull.base), headOf(directory, pull.head)]);
    const shown = pull.closedHead ?? head;
    const isKnown = base !== null && shown !== null;
    const [commits, diff] = isKnown
      ? await Promise.all([commitsBetween(directory, base, shown), differenceOf(directory, base, shown)])
      : [[], ''];
    return sendPage(response, 200, pullPage(pull, commits, diff, options.branchUrl(fullName, pull.head)));
  };

  const carryOut = async (place: Place, pull: Pull, action: string, form: URLSearchParams): Promise<void> => {
    if (action === 'close') await pulls.change(place, pull.number, { state: 'closed' });
    if (action === 'reopen') await pulls.change(place, pull.number, { state: 'open' });
    if (action === 'ready') pull.draft = false;
    if (action === 'merge') await pulls.merge(place, pull.number);
    if (action === 'edit') {
      const title = form.get('title')?.trim() || pull.title;
      await pulls.change(place, pull.number, { title, body: form.get('body') ?? '' });
    }
  };

  const server = createServer((request, response) => {
    answerRequest(request, response).catch((error: unknown) => {
      const [status, message] = refusalOf(error);
      if (response.headersSent) response.destroy();
      else sendPage(response, status, errorPage(message));
    });
  });
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(options.port ?? 0, '127.0.0.1', listening);
  });
  // A server that listens on a port has an AddressInfo (a string only for pipes).
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const parts: ApiParts = { state, tokens, pulls, webhooks, locate, pageUrl: url, cloneUrl: options.cloneUrl };
  const { tell, tellChecks, told } = teller(parts);

  const placeOf = async (fullName: string): Promise<Place> => {
    const directory = await locate(fullName);
    if (directory === null) throw new Error(`there is no repository ${fullName}`);
    return { fullName, directory };
  };

  return {
    url,
    apiUrl: `${url}${API}`,
    app: {
      id: String(state.app.id),
      clientId: state.app.clientId,
      privateKey: state.app.privateKey,
      webhookSecret: state.app.webhookSecret,
    },
    install: (repositories, permissions = USUAL_PERMISSIONS) => {
      const account = repositories[0]?.split('/')[0] ?? '';
      const known = state.installations.find((one) => one.account === account);
      const id = known?.id ?? state.lastId + 1;
      state.lastId = Math.max(state.lastId, id);
      state.installations = state.installations.filter((one) => one !== known);
      state.installations.push({ id, account, repositories, permissions, suspended: false });
      save();
      return id;
    },
    uninstall: (owner) => {
      state.installations = state.installations.filter(({ account }) => account !== owner);
      save();
    },
    suspend: (owner, suspended) => {
      for (const one of state.installations) if (one.account === owner) one.suspended = suspended;
      save();
    },
    addToken: ({ token, login = 'ada', repositories, permissions = USUAL_PERMISSIONS, expiresAt }) => {
      const added = token ?? `ghp_local${state.personalTokens.length + 1}${crypto.randomUUID().replaceAll('-', '')}`;
      state.personalTokens.push({ token: added, login, repositories, permissions, expiresAt: expiresAt ?? null });
      save();
      return added;
    },
    removeToken: (token) => {
      state.personalTokens = state.personalTokens.filter((one) => one.token !== token);
      save();
    },
    revokeInstallationTokens: () => tokens.revoke(),
    installationTokens: () => tokens.minted,
    rename: (from, to) => {
      state.renamed = [...state.renamed.filter((one) => one.from !== to), { from, to }];
      const follow = (name: string) => (name.toLowerCase() === from.toLowerCase() ? to : name);
      for (const one of [...state.installations, ...state.personalTokens])
        one.repositories = one.repositories.map(follow);
      for (const one of [...state.pulls, ...state.rulesets]) one.repository = follow(one.repository);
      tokens.rename(follow);
      save();
    },
    withoutDrafts: (fullName) => {
      state.withoutDrafts.push(fullName);
      save();
    },
    setRulesets,
    setChecks,
    webhooks,
    settled: async () => {
      await told();
      await webhooks.settled();
    },
    setPermission: (fullName, login, permission) => {
      const others = state.collaborators.filter((one) => one.repository !== fullName || one.login !== login);
      state.collaborators = [...others, { repository: fullName, login, permission }];
      save();
    },
    review: async (fullName, number, login, review, words) => {
      const { directory } = await placeOf(fullName);
      const commit = (await headOf(directory, pulls.find(fullName, number).head)) ?? '';
      pulls.review(fullName, number, login, review, { commit, ...words });
      save();
    },
    reply: (fullName, number, to, login, body) => {
      pulls.reply({ fullName }, number, to, login, { body });
      save();
    },
    misbehave: (...list) => faults.set(list),
    pulls: () => structuredClone(pulls.all()),
    change: async (fullName, number, change) => {
      const pull = await pulls.change(await placeOf(fullName), number, change);
      save();
      return structuredClone(pull);
    },
    comment: (fullName, number, ...texts) => {
      for (const body of texts) pulls.comment({ fullName }, number, 'ada', { body });
      save();
    },
    commentAs: (fullName, number, login, body) => {
      pulls.comment({ fullName }, number, login, { body });
      save();
    },
    merge: async (fullName, number) => {
      const pull = await pulls.merge(await placeOf(fullName), number);
      save();
      return structuredClone(pull);
    },
    admitsGit: (password, fullName, writes) => {
      const grant = tokens.grant(password);
      if (!grant || !isAmong(grant.repositories, fullName)) return false;
      return mayDo(grant.permissions, 'contents', writes ? 'write' : 'read');
    },
    branchRules: (fullName) => pushRules(state, fullName),
    requests: () => [...log],
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

/** Headers of every answer of the API. */
const GENERAL_HEADERS = {
  'x-github-media-type': 'github.v3; format=json',
  'x-github-api-version-selected': '2022-11-28',
};

/** As GitHub's support asks for it, e.g. `C0DE:2A4B:1F:3D:6720`. */
function requestId(): string {
  return crypto.randomUUID().toUpperCase().replaceAll('-', ':');
}

/** Status and words for a page that could not be made. */
function refusalOf(error: unknown): [status: number, message: string] {
  if (error instanceof Refused) return [error.answer.status, JSON.stringify(error.answer.body)];
  if (error instanceof GitCommandError) return [409, error.message];
  if (error instanceof TooLargeError) return [413, error.message];
  if (error instanceof URIError) return [400, 'This address cannot be read.'];
  return [500, messageOf(error)];
}

function sendPage(response: ServerResponse, status: number, content: Html): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    'x-content-type-options': 'nosniff',
  });
  response.end(content.text);
}

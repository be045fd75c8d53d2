/** One history: Claude's turns and a person's deeds between and during them, while the sandbox lives, sleeps or is lost. */
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSandboxConfig } from '../../container/config.ts';
import { killSessionProcesses } from '../../container/process/process-group.ts';
import { type SandboxServer, startSandboxServer } from '../../container/server.ts';
import type { GitHost } from '../../dev/git/git-host.ts';
import { forwardToGit } from '../../src/gateway/git/git.ts';
import type { SandboxEvent } from '../../src/protocol/sandbox/events.ts';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import { startGatewayStandIn } from '../container/gateway-stand-in.ts';
import { serve } from '../unit/gateway/web-server.ts';
import { Random } from '../unit/support/random.ts';
import { HostTruth } from './host-truth.ts';
import { type Deed, Person } from './person.ts';

const SECRET = 'secret-of-the-sandbox-server-0123';
const AUTHOR = { name: 'Cyrus', email: 'cyrus@cyrus.test' };
/** Far more than a turn takes, also on a machine that is busy with other things. */
const TURN_LIMIT_MS = 180_000;
const MOODS = ['alive', 'alive', 'alive', 'asleep', 'lost'] as const;
type Mood = (typeof MOODS)[number];

export interface HistoryFigures {
  seed: number;
  turns: number;
  deeds: Partial<Record<Deed, number>>;
  moods: Partial<Record<Mood, number>>;
  notPushed: number;
  violations: string[];
  /** What happened, for reading. */
  story: string[];
}

export interface HistoryOptions {
  folder: string;
  host: GitHost;
  password: string;
  turns: number;
}

/** @throws what breaks the play itself; what breaks a promise is a violation */
export async function playHistory(seed: number, options: HistoryOptions): Promise<HistoryFigures> {
  const play = await Play.begin(seed, options);
  try {
    for (let turn = 1; turn <= options.turns; turn++) await play.turn(turn);
    return play.figures;
  } finally {
    await play.close();
  }
}

class Play {
  readonly figures: HistoryFigures;
  readonly #random: Random;
  readonly #folder: string;
  readonly #fullName: string;
  readonly #branch: string;
  readonly #person: Person;
  readonly #truth: HostTruth;
  readonly #gateway: Awaited<ReturnType<typeof startGatewayStandIn>>;
  readonly #closing: (() => Promise<void>)[];
  readonly #tip: () => string | null;
  #server: SandboxServer | null = null;
  #generation = 1;
  #conversation = randomUUID();
  /** Other people's commits that have to be on the host. */
  #theirs = new Set<string>();
  /** Claude's commits that have to be on the host. */
  #present = new Set<number>();
  #number = 0;

  private constructor(parts: {
    seed: number;
    folder: string;
    fullName: string;
    branch: string;
    bare: string;
    gateway: Awaited<ReturnType<typeof startGatewayStandIn>>;
    closing: (() => Promise<void>)[];
    tip: () => string | null;
  }) {
    this.figures = { seed: parts.seed, turns: 0, deeds: {}, moods: {}, notPushed: 0, violations: [], story: [] };
    this.#random = new Random(parts.seed);
    this.#folder = parts.folder;
    this.#fullName = parts.fullName;
    this.#branch = parts.branch;
    this.#gateway = parts.gateway;
    this.#closing = parts.closing;
    this.#tip = parts.tip;
    this.#person = new Person(join(parts.folder, 'person'), parts.bare, parts.branch);
    this.#truth = new HostTruth(parts.bare, parts.branch);
  }

  static async begin(seed: number, { folder: root, host, password }: HistoryOptions): Promise<Play> {
    const fullName = `acme/h${seed}`;
    const branch = `cyrus/h-${seed}`;
    const author = { name: 'Ada', email: 'ada@acme.example' };
    const files = { 'README.md': 'shop\n', 'shared.txt': 'first\n' };
    const commits = [{ message: 'first', author, at: 1_790_000_000, files }];
    await host.ensureRepository(fullName, { branch: 'main', commits });
    const bare = (await host.directory(fullName)) ?? '';
    // The gateway's own function, with what it keeps of a session.
    const own = new Map<string, readonly string[]>();
    let tip: string | null = null;
    const claims = { s: 'a'.repeat(64), w: 'workspace', r: fullName, b: branch, g: 1 };
    const remote = { cloneUrl: host.cloneUrl(fullName), credential: { username: 'cyrus', password } };
    const git = await serve((request) =>
      forwardToGit(request, new URL(request.url).pathname.slice(1), claims, remote, fetch, undefined, {
        all: async () => own,
        branch: async () => branch,
        add: async (pushed) => {
          for (const [id, parents] of pushed) own.set(id, parents);
        },
        confirm: async (commit) => {
          tip = commit;
        },
      }),
    );
    const gateway = await startGatewayStandIn(`session-token-${randomUUID()}`, {
      model: null,
      git: { url: git.url, username: 'x', password: 'x' },
    });
    const folder = join(root, `history-${seed}`);
    const closing = [() => gateway.close(), () => git.close(), () => rm(folder, { recursive: true, force: true })];
    const play = new Play({ seed, folder, fullName, branch, bare, gateway, closing, tip: () => tip });
    await play.#person.arrive();
    return play;
  }

  async close(): Promise<void> {
    await this.#server?.close();
    for (const close of this.#closing) await close();
  }

  /** What may happen before a turn, the turn with what may happen in its middle, and what has to hold after it. */
  async turn(turn: number): Promise<void> {
    const random = this.#random;
    if (turn > 1) {
      const mood = random.pick(MOODS);
      this.figures.moods[mood] = (this.figures.moods[mood] ?? 0) + 1;
      if (mood !== 'alive') await this.#endSandbox(mood);
      for (let deeds = random.below(3); deeds > 0; deeds--) await this.#deed();
    }
    await this.#ensureSandbox();
    const go = join(this.#folder, `go-${turn}`);
    const first = this.#work();
    const second = random.chance(0.6) ? this.#work() : null;
    const pause = `for i in $(seq 600); do [ -e '${go}' ] && break; sleep 0.05; done`;
    const script = [first.script, pause, ...(second ? [second.script] : [])].join('\n');
    const text = `#!claude\n${script}\n#!end\n${random.chance(0.5) ? '#!merge' : ''}`;
    const made = [first.number, ...(second ? [second.number] : [])];
    this.figures.story.push(`turn ${turn}: ${script.replaceAll(pause, '…').replaceAll('\n', ' | ')}`);
    await this.#command({ type: 'prompt', id: randomUUID(), turn, text });
    if (random.chance(0.4)) await this.#deed();
    await writeFile(go, '');
    const saved = await this.#saved(turn);
    this.figures.turns += 1;
    if (!saved.pushed) this.figures.notPushed += 1;
    this.figures.story.push(`saved: pushed ${saved.pushed}, ${saved.commits.length} commits; ${saved.problem ?? ''}`);
    await this.#judge(turn, made, saved);
  }

  /** A piece of Claude's work; the number is in the subject or in the name of the file. */
  #work(): { number: number; script: string } {
    const random = this.#random;
    this.#number += 1;
    const number = this.#number;
    const change = `echo ${number} > c${number}.txt${random.chance(0.2) ? `; echo claude ${number} > shared.txt` : ''}`;
    const commit = `${change}; git add .; git commit -qm C${number}`;
    const kind = random.below(8);
    if (kind === 0) return { number, script: change };
    if (kind === 1) return { number, script: `${commit}; git push -q origin HEAD:${this.#branch}` };
    if (kind === 2) return { number, script: `git fetch -q origin; ${commit}` };
    if (kind === 3) return { number, script: `git checkout -q --detach; ${commit}` };
    if (kind === 4) return { number, script: `git branch -m renamed-${number}; ${commit}` };
    if (kind === 5) return { number, script: `${commit}; git commit -q --amend --no-edit --date=now` };
    if (kind === 6) return { number, script: `${commit}; git push -q --force origin HEAD:${this.#branch}` };
    return { number, script: commit };
  }

  async #deed(): Promise<void> {
    const deed = this.#person.choose(this.#random, await this.#truth.hasBranch());
    await this.#look();
    const isDone = await this.#person.does(deed);
    this.figures.story.push(`person: ${deed}${isDone ? '' : ' (gave up)'}`);
    if (!isDone) return;
    this.figures.deeds[deed] = (this.figures.deeds[deed] ?? 0) + 1;
    // What a person takes off is theirs to take off.
    this.#theirs = new Set(await this.#truth.theirs(AUTHOR.email));
    for (const number of this.#present) if (!(await this.#truth.hasWork(number))) this.#present.delete(number);
  }

  /** What of Claude's is on the host by now has to stay. */
  async #look(): Promise<void> {
    for (let number = 1; number <= this.#number; number++)
      if (await this.#truth.hasWork(number)) this.#present.add(number);
  }

  async #judge(turn: number, made: number[], saved: Extract<SandboxEvent, { type: 'saved' }>): Promise<void> {
    const violate = (what: string) => this.figures.violations.push(`turn ${turn}: ${what}`);
    for (const sha of this.#theirs)
      if (!(await this.#truth.holds(sha))) violate(`a person's commit ${sha.slice(0, 10)} is missing`);
    for (const number of this.#present)
      if (!(await this.#truth.hasWork(number))) violate(`C${number} was on the host and is gone`);
    const told = [saved.problem ?? '', ...saved.commits.map(({ subject }) => subject)].join('\n');
    for (const number of made) {
      if (await this.#truth.hasWork(number)) continue;
      // What was pushed may lack commits that lie beside the branch: then they are named.
      const isNamed = saved.problem?.includes(`"C${number}"`) === true;
      if (!isNamed && (saved.pushed || saved.problem === undefined))
        violate(`C${number} is not on the host, and nothing says so: ${told}`);
    }
    await this.#look();
    this.#theirs = new Set([...this.#theirs, ...(await this.#truth.theirs(AUTHOR.email))]);
  }

  // --- The sandbox ---

  async #ensureSandbox(): Promise<void> {
    if (this.#server) return;
    const root = join(this.#folder, `sandbox-${this.#generation}`);
    const config = {
      ...readSandboxConfig({ CYRUS_SANDBOX_ROOT: root, PORT: '0', CYRUS_SANDBOX_SECRET: SECRET, CYRUS_WALLS: 'none' }),
      claudeBin: join(import.meta.dirname, 'claude-cli.ts'),
    };
    this.#server = await startSandboxServer(config);
    const { checkpoint } = this.#gateway;
    this.#gateway.awaitNewStream();
    const body: StartSession = {
      generation: this.#generation,
      gateway: { url: this.#gateway.url, token: this.#gateway.token },
      repository: { fullName: this.#fullName, baseBranch: 'main', branch: this.#branch, pushed: this.#tip() },
      claude: {
        credential: 'subscription',
        model: 'sonnet',
        conversationId: this.#conversation,
        systemPrompt: 'You are Cyrus.',
        answerSeconds: 300,
        stallSeconds: 120,
      },
      author: AUTHOR,
      setupTimeoutSeconds: 60,
      ...(this.#generation > 1 && checkpoint && { restore: checkpoint }),
    };
    await this.#ask('PUT', '', body);
  }

  /** Asleep: it ends in good order, and its disk goes. Lost: killed at once. */
  async #endSandbox(mood: 'asleep' | 'lost'): Promise<void> {
    this.figures.story.push(mood);
    const { checkpoint } = this.#gateway;
    const root = join(this.#folder, `sandbox-${this.#generation}`);
    if (mood === 'lost') {
      this.#gateway.away = true;
      await killSessionProcesses(join(root, 'sessions', 's'));
    }
    await this.#server?.close();
    this.#server = null;
    await rm(root, { recursive: true, force: true });
    this.#gateway.away = false;
    if (mood === 'lost') this.#gateway.checkpoint = checkpoint;
    this.#generation += 1;
  }

  async #command(command: object): Promise<void> {
    await this.#ask('POST', '/commands', command);
  }

  async #ask(method: string, path: string, body: object): Promise<void> {
    const answer = await fetch(`${this.#server?.url}/sessions/s${path}`, {
      method,
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }

  async #saved(turn: number): Promise<Extract<SandboxEvent, { type: 'saved' }>> {
    const deadline = Date.now() + TURN_LIMIT_MS;
    for (;;) {
      const { events } = this.#gateway;
      const failed = events.find((event) => event.type === 'failed');
      if (failed) throw new Error(`the sandbox failed: ${JSON.stringify(failed)}`);
      for (const event of events) if (event.type === 'saved' && event.turn === turn) return event;
      if (Date.now() > deadline) {
        throw new Error(
          `turn ${turn} was not saved\n${events
            .slice(-10)
            .map((event) => JSON.stringify(event).slice(0, 300))
            .join('\n')}`,
        );
      }
      await new Promise((done) => setTimeout(done, 10));
    }
  }
}

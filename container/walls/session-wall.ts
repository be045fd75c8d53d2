/** The wall around one session: its user, its folders, and how programs are run behind it. */
import { spawn } from 'node:child_process';
import { chmod, chown, lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { belongsTo, belongsToNobody } from '../files/inside.ts';
import { SessionGroups } from './session-groups.ts';
import { commandAsUser, commandInside, findWalls, type WallKind, type Walls } from './walls.ts';

/** Folders of a session that what runs in it may write to; those of the server's git among them. */
const OWN = ['worktree', 'worktree.aside', 'git.aside', 'home', 'tmp', 'share', 'checkpoint', 'cache'];
/** There before anything runs, so that a view of its own can have them. */
const ALWAYS = ['home', 'tmp', 'share', 'checkpoint', 'cache', 'files', 'lives'];
/** Read by nobody but the server. */
const SERVERS = ['lives', 'session.json', 'session.json.new', 'baseline.json', 'base.bundle', 'work.patch'];

export interface Command {
  program: string;
  args: string[];
}

export class SessionWall {
  readonly #walls: Walls;
  readonly #dir: string;
  /** The session's user; null if sessions run as the server's. */
  readonly uid: number | null;
  /** The mirror that the session reads objects from, once it is known. */
  mirror: string | null = null;

  /** @param dir the session's folder. @param uid of the session's own, where walls are users */
  constructor(walls: Walls, dir: string, uid: number | null) {
    this.#walls = walls;
    this.#dir = dir;
    this.uid = uid;
  }

  get kind(): WallKind {
    return this.#walls.kind;
  }

  /** How a program is run that the repository or Claude can influence. */
  command(program: string, args: readonly string[]): Command {
    const { uid } = this;
    const [first = program, ...rest] = commandInside(this.#walls, { uid, dir: this.#dir, mirror: this.mirror }, [
      program,
      ...args,
    ]);
    return { program: first, args: rest };
  }

  /**
   * How the server's own programs (git, tar) are run in a folder. In the session's they run as the session, whose configuration they may
   * read; elsewhere as the server. As another user they need no view: what they do is bounded by that user's rights, and what they take
   * by the session's limits, since files of the session (a .gitignore of 20 GB) decide how much memory git takes.
   */
  ownCommand(program: string, args: readonly string[], cwd: string): Command {
    if (this.kind === 'none' || !`${cwd}/`.startsWith(`${this.#dir}/`)) return { program, args: [...args] };
    if (this.uid !== null) {
      const { groups } = this.#walls;
      if (groups instanceof SessionGroups) groups.reopen(basename(this.#dir));
      const [first = program, ...rest] = commandAsUser(this.#walls, this.uid, this.#dir, [program, ...args]);
      return { program: first, args: rest };
    }
    const space = { uid: null, dir: this.#dir, mirror: this.mirror, cwd };
    const [first = program, ...rest] = commandInside(this.#walls, space, [program, ...args]);
    return { program: first, args: rest };
  }

  /**
   * Makes the session's folders, and gives them to its user. Before this nothing of the session may run.
   * @throws where owners cannot be changed
   */
  async prepare(): Promise<void> {
    if (this.kind === 'none') return;
    const { groups } = this.#walls;
    if (groups instanceof SessionGroups) groups.open(basename(this.#dir));
    const [uid, gid] = [this.uid ?? process.getuid?.() ?? 0, this.uid ?? process.getgid?.() ?? 0];
    const before = await lstat(this.#dir);
    for (const name of ALWAYS) await mkdir(join(this.#dir, name), { recursive: true, mode: 0o700 });
    if (this.uid !== null) {
      // What an earlier version, or an earlier user, left: each entry itself, never what a link leads to.
      for (const name of await readdir(this.#dir)) {
        const path = join(this.#dir, name);
        if (SERVERS.includes(name)) continue;
        const found = await lstat(path);
        if (OWN.includes(name)) {
          if (found.uid !== uid) await run('chown', ['-R', '-h', `${uid}:${gid}`, '--', path]);
        } else if (found.gid !== gid) {
          await run('chgrp', ['-R', '-h', String(gid), '--', path]);
          if (!found.isSymbolicLink()) await run('chmod', ['-R', 'g+rX', '--', path]);
        }
      }
      // What people give later belongs to the session's group as well.
      await chmod(join(this.#dir, 'files'), 0o2750);
      if (before.gid !== gid) await chown(this.#dir, before.uid, gid);
      // What the server makes in it the session may read, and nothing in it may be replaced.
      await chmod(this.#dir, 0o2750);
      const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
      const own = `session:x:${uid}:${gid}::${join(this.#dir, 'home')}:/bin/bash\n`;
      await writeFile(join(this.#dir, 'passwd'), users + own, { mode: 0o644 });
    }
    for (const name of OWN) belongsTo(join(this.#dir, name), { uid, gid });
  }

  /** The session is gone from this server, or waits for its next life. */
  forget(): void {
    const { groups } = this.#walls;
    if (groups instanceof SessionGroups) groups.close(basename(this.#dir));
    for (const name of OWN) belongsToNobody(join(this.#dir, name));
  }
}

/** No wall, for a single program that is measured or tested by itself. */
export const NO_WALL = new SessionWall(
  findWalls({
    setting: 'none',
    root: '/',
    claudeBin: 'claude',
    hidden: [],
    limits: { processes: 0, memoryBytes: 0, sessionBytes: 0 },
  }),
  '/nonexistent',
  null,
);

function run(program: string, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}`))));
  });
}

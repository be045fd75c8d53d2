/** The environment of what runs inside a session. Nothing of the server's own environment but PATH gets in. */
import { join } from 'node:path';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import { HOOKS_OFF } from '../hooks/hooks.ts';
import type { SessionPaths } from '../paths.ts';
import { trustVariables } from './certificates.ts';
import { SESSION_MARKER } from './process-group.ts';

/** Environment without any secret: for the setup script, and the ground for Claude's. */
export function sessionEnvironment(paths: SessionPaths): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: paths.home,
    TMPDIR: paths.tmp,
    LANG: 'C.UTF-8',
    USER: process.env.USER ?? 'node',
    SHELL: '/bin/bash',
    TERM: 'dumb',
    // Whatever lies around the server's root is no repository of the session.
    GIT_CEILING_DIRECTORIES: paths.dir,
    ...HOOKS_OFF,
    [SESSION_MARKER]: paths.dir,
    ...trustVariables(join(paths.dir, 'certificates.crt')),
  };
}

/** The decoy credential as a variable, for everything that a repository's code may see. */
export function decoyVariable({ decoy }: StartSession): Record<string, string> {
  return decoy ? { [decoy.name]: decoy.value } : {};
}

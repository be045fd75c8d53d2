/** The sending side of a sandbox: its own journal and poster, for a session that waits for one. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { EventPoster } from '../../container/events/event-poster.ts';
import { EventJournal } from '../../container/events/journal.ts';
import { INIT } from './claude-lines.ts';
import type { Cyrus, StartedSession } from './cyrus.ts';

export interface Sandbox {
  journal: EventJournal;
  poster: EventPoster;
  session: StartedSession;
}

/** Starts a session and takes the place of its sandbox. @param folder for what is not posted yet */
export async function setSandbox({ url, startSession }: Cyrus, folder: string): Promise<Sandbox> {
  const session = await startSession();
  const { id, generation, bootId, streamId, token } = session;
  const dir = join(folder, 'events', id);
  mkdirSync(dir, { recursive: true });
  const journal = await EventJournal.open(dir);
  const address = { sessionId: id, generation, bootId, streamId, gatewayUrl: `${url}/gateway`, token };
  const poster = new EventPoster({
    journal,
    fresh: true,
    address,
    isBusy: () => true,
    onSuperseded: (message) => {
      throw new Error(`superseded: ${message}`);
    },
    onReconnected: () => {},
  });
  journal.append({ type: 'line', line: INIT });
  if (!(await poster.flush(10_000))) throw new Error('the first line was not stored');
  return { journal, poster, session };
}

export async function close({ journal, poster }: Sandbox): Promise<void> {
  await poster.stop();
  await journal.close();
}

/** What the page shows of the question that stands. */
import type { Asked } from '../protocol/viewer.ts';
import { PERMISSION_LIMIT_MS } from './deadlines.ts';
import { ALLOW_FOR_SESSION, MAX_SHOWN, optionsOf } from './permissions.ts';
import type { SessionState } from './state.ts';

/** @returns null where nobody is asked anything */
export function askedOf({ phase }: SessionState): Asked | null {
  if (phase.name !== 'asking') return null;
  const { about, since } = phase;
  switch (about.kind) {
    case 'repository': {
      const { options } = about;
      return {
        id: `repository:${since}`,
        text: 'Which repository is this about?',
        call: null,
        note: '',
        options,
        until: null,
      };
    }
    case 'claude': {
      const next = about.questions.find(({ question }) => !(question in about.answers));
      if (!next) return null;
      const { question: text, options } = next;
      return { id: `${about.requestId}:${text}`, text, call: null, note: '', options, until: null };
    }
    case 'permission': {
      const { cutFrom, grant, requestId, title, why } = about;
      const notes = [
        cutFrom === null ? null : `Cut after ${MAX_SHOWN} of ${cutFrom} characters; the call above shows the whole.`,
        why,
        grant && `“${ALLOW_FOR_SESSION}” allows ${grant.words}.`,
        'Anything else you write is a no, and Claude reads it.',
      ];
      return {
        id: requestId,
        text: `Claude asks to ${title}`,
        call: about.shown,
        note: notes.filter((part) => part !== null && part !== '').join(' '),
        options: optionsOf(about),
        until: since + PERMISSION_LIMIT_MS,
      };
    }
  }
}

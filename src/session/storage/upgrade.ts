/**
 * Stored state, effects and journal entries of every released version, read as this version's. Each shape that was ever
 * released is kept as a fixture (tests/fixtures/released), and has to be readable here. Pure.
 */
import * as z from 'zod';
import { type Readable, toNewest } from '../../kernel/versions.ts';
import { type JournalBody, journalBodySchema } from '../../protocol/journal.ts';
import { cutWhole } from '../../protocol/text/sendable-text.ts';
import { phaseSchema } from '../../protocol/viewer.ts';
import { isEffectKind, storedSchema } from '../lifecycle/effects/index.ts';
import type { Effect } from '../lifecycle/model/effects.ts';
import type { SessionState } from '../lifecycle/model/state.ts';

type Stored = Record<string, unknown>;

/** What leads from a version of the state to the next one; the first of version 1. */
const STATE_STEPS: readonly ((state: Stored) => Stored)[] = [];

/** Version of the state that this code writes. */
export const STATE_VERSION = 1;

/**
 * What was renamed without a new version, so that the version before this one goes on reading what is stored. The old name counts:
 * both versions write it, and after a rollback the version before leaves a new one behind that is no longer true.
 */
function withNewNames(state: Stored): Stored {
  const queued = queuedBefore.safeParse(state.phase);
  return queued.success ? { ...state, phase: { ...queued.data, position: queued.data.place } } : state;
}

const queuedBefore = z.looseObject({ name: z.literal('queued'), place: z.number() });

/** Kinds of effects by the names that they had. */
const RENAMED_EFFECTS: ReadonlyMap<string, string> = new Map([
  ['ask-place', 'request-slot'],
  ['give-place', 'release-slot'],
]);

const time = z.number();
const turnSchema = z.looseObject({ number: z.number(), prompts: z.array(z.looseObject({ promptId: z.string() })) });
const atWork = { since: time, turn: turnSchema };

/**
 * What has to be there for the lifecycle to go on. Written by this code and nobody else, so what is inside of the parts is
 * not checked again; a part that is missing altogether, or a phase of another version, is.
 */
const stateSchema = z.looseObject({
  version: z.literal(STATE_VERSION),
  id: z.string(),
  workspaceId: z.string(),
  origin: z.string(),
  conversationId: z.string(),
  branch: z.string(),
  agentSessions: z.record(z.string(), z.looseObject({ since: time })),
  context: z.array(
    z.union([z.string(), z.looseObject({ text: z.string() }), z.looseObject({ edit: z.looseObject({}) })]),
  ),
  phase: z.discriminatedUnion('name', [
    z.looseObject({ name: z.literal('waiting'), since: time }),
    z.looseObject({ name: z.literal('starting'), ...atWork, reason: z.string() }),
    z.looseObject({ name: z.literal('working'), ...atWork }),
    z.looseObject({
      name: z.literal('asking'),
      ...atWork,
      about: z.looseObject({ kind: z.enum(['repository', 'claude', 'permission']) }),
    }),
    z.looseObject({ name: z.literal('saving'), ...atWork, ending: z.looseObject({ outcome: z.string() }) }),
    z.looseObject({ name: z.literal('parked'), ...atWork, until: time, why: z.string(), left: z.array(z.string()) }),
    z.looseObject({ name: z.literal('queued'), ...atWork, position: z.number() }),
    z.looseObject({ name: z.literal('stopping'), ...atWork, words: z.string() }),
  ]),
  queue: z.array(z.looseObject({ promptId: z.string() })),
  turns: z.number(),
  sandbox: z.looseObject({
    generation: z.number(),
    streamId: z.string().nullable(),
    cursor: z.number(),
    heardAt: time,
  }),
  reader: z.looseObject({ blocks: z.array(z.unknown()), messages: z.array(z.unknown()) }),
  narration: z.looseObject({ calls: z.array(z.unknown()) }),
  plan: z.looseObject({}),
  revision: z.number(),
});

/** @param stored the state as it was stored, parsed */
export function upgradeState(stored: unknown): Readable<SessionState> {
  const newest = toNewest(stored, STATE_STEPS, 'its state');
  if (!newest.ok) return newest;
  const state = withNewNames(newest.value);
  const phase = z.looseObject({ phase: z.looseObject({ name: z.string() }) }).safeParse(state);
  if (phase.success && !phaseSchema.safeParse(phase.data.phase.name).success) {
    return {
      ok: false,
      why: `it is in the phase "${phase.data.phase.name}", which this version of Cyrus does not know`,
    };
  }
  const parsed = stateSchema.safeParse(state);
  if (!parsed.success) return { ok: false, why: `its state cannot be read: ${z.prettifyError(parsed.error)}` };
  // The schema looks at what the lifecycle cannot do without; the rest was written by the lifecycle itself.
  return { ok: true, value: state as unknown as SessionState };
}

const kindOfEffect = z.looseObject({ kind: z.string() });

/** @param json an effect as it was stored */
export function upgradeEffect(json: string): Readable<Effect> {
  try {
    const read = kindOfEffect.parse(JSON.parse(json));
    const kind = RENAMED_EFFECTS.get(read.kind) ?? read.kind;
    const stored: unknown = { ...read, kind };
    if (!isEffectKind(kind)) return { ok: false, why: `this version of Cyrus has no effect "${kind}"` };
    storedSchema(kind).parse(stored);
    // As with the state: written by this code, checked for what it cannot do without.
    return { ok: true, value: stored as Effect };
  } catch (error) {
    return { ok: false, why: error instanceof z.ZodError ? z.prettifyError(error) : 'it is no JSON' };
  }
}

const kinds = new Set<string>(journalBodySchema.options.map((option) => option.shape.kind.value));

/** Longest text of an entry of an unknown kind that is shown, in UTF-16 code units. */
const MAX_RAW = 16 * 1024;

/** An entry of the journal. One of a kind that this version does not know becomes an `unknown` entry with its text. */
export function upgradeEntry(json: string): JournalBody {
  try {
    const stored: unknown = JSON.parse(json);
    const parsed = z.looseObject({ kind: z.string() }).safeParse(stored);
    if (parsed.success && kinds.has(parsed.data.kind)) return stored as JournalBody;
    return unknownEntry(parsed.success ? parsed.data.kind : 'journal', json);
  } catch {
    return unknownEntry('journal', json);
  }
}

function unknownEntry(type: string, raw: string): JournalBody {
  const cut = raw.length > MAX_RAW;
  return { kind: 'unknown', type, raw: cutWhole(raw, MAX_RAW), ...(cut && { truncatedFrom: raw.length }) };
}

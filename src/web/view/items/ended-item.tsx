import { memo } from 'react';
import type { Entry, Moment } from '../../outline/model.ts';
import { compact, dollars, duration } from '../../text/format.ts';
import { outcomeTone } from '../../text/status.ts';
import { Icon, type IconName } from '../icons.tsx';
import { Prose } from '../prose.tsx';
import { useSession, useStore } from '../session-context.ts';
import { FlightRecord } from './flight-record.tsx';

type Ended = Entry<'turn-ended'>;

const titles = { completed: 'Done', stopped: 'Stopped', failed: 'This turn failed' } as const;
const icons: Record<Ended['outcome'], IconName> = { completed: 'check', stopped: 'square', failed: 'cross' };

type EndedItemProps = { entry: Ended; repeats: boolean; flight?: readonly Moment[] };

/** How a turn ended. `repeats`: its text is the last thing Claude said and is right above. */
export const EndedItem = memo(function EndedItem({ entry, repeats, flight = [] }: EndedItemProps) {
  const { outcome, text } = entry;
  return (
    <section className={`ended tone-${outcomeTone(outcome)}`} aria-label={`Outcome of turn ${entry.turn}`}>
      {!repeats && text.trim() !== '' && (
        <div className="prose ended-text" dir="auto">
          <Prose text={text} />
        </div>
      )}
      <p className="ended-line">
        <span className="row-icon">
          <Icon name={icons[outcome]} />
        </span>
        <strong>{titles[outcome]}</strong>
        <span className="faint">{endedFacts(entry).join(' · ')}</span>
      </p>
      {outcome === 'failed' && (
        <p className="faint">
          Nothing is lost: the work so far is kept. Write below to try again. <TryAgain turn={entry.turn} />
        </p>
      )}
      <FlightRecord moments={flight} name={`flight ${entry.turn}`} startsOpen={outcome === 'failed'} />
    </section>
  );
});

/** Asks Claude again, of the last turn. */
function TryAgain({ turn }: { turn: number }) {
  const store = useStore();
  const isLast = useSession(({ session }) => session?.turn === turn && session.phase === 'waiting');
  const mayWork = useSession((state) => state.mayWork && state.session?.readOnly === undefined);
  const isAsked = useSession(({ outgoing }) => outgoing.length > 0);
  if (!isLast || !mayWork || isAsked) return null;
  return (
    <button type="button" className="more" onClick={() => store.prompt('Please try again.')}>
      Try again
    </button>
  );
}

/** "1 min 23 s", "12k in, 3k out", "$0.42", as far as known. */
function endedFacts({ durationMs, usage, costUsd, reason, outcome }: Ended): string[] {
  const facts = [`${outcome === 'completed' ? 'in' : 'after'} ${duration(durationMs)}`];
  if (usage !== null) {
    const read = usage.inputTokens + usage.cacheReadTokens + usage.cacheCreationTokens;
    facts.push(`${compact(read)} tokens read, ${compact(usage.outputTokens)} written`);
  }
  if (costUsd !== null && costUsd > 0) facts.push(dollars(costUsd));
  if (outcome === 'failed') facts.push(reason);
  return facts;
}

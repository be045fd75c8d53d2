import { memo } from 'react';
import type { Section } from '../../outline/model.ts';
import { duration, plural } from '../../text/format.ts';
import { outcomeTone, outcomeWord } from '../../text/status.ts';
import { Icon, type IconName } from '../icons.tsx';
import { fileCounts } from '../items/saved-item.tsx';
import { Counts } from '../items/tool-row.tsx';
import { Time } from '../time.tsx';

type TurnHeadProps = {
  section: Section;
  isOpen: boolean;
  /** Absent for the last turn, which does not fold. */
  onToggle?: () => void;
};

const icons: Record<string, IconName> = { good: 'check', stopped: 'square', bad: 'cross', waiting: 'dot', busy: 'dot' };

/** The heading of a turn; of an earlier one it is the line that folds it. */
export const TurnHead = memo(function TurnHead({ section, isOpen, onToggle }: TurnHeadProps) {
  const name = turnName(section);
  if (onToggle === undefined) {
    return (
      <h2 className="turn-name">
        {name} <Time at={section.startedAt} />
      </h2>
    );
  }
  return (
    <h2 className={isOpen ? 'turn-fold' : 'turn-fold turn-folded'}>
      <button type="button" className="turn-line" aria-expanded={isOpen} onClick={onToggle}>
        <TurnLine section={section} />
      </button>
    </h2>
  );
});

/** "Turn 3"; what came before a turn was begun has no number. */
export function turnName({ turn }: Section): string {
  return turn > 0 ? `Turn ${turn}` : 'Before the next turn';
}

function TurnLine({ section }: { section: Section }) {
  const outcome = section.ended?.outcome ?? null;
  const tone = outcomeTone(outcome);
  const asked =
    section.prompt?.text
      .trim()
      .split('\n')
      .find((line) => line.trim() !== '') ?? '';
  return (
    <>
      <span className="fold-mark">
        <Icon name="chevron" />
      </span>
      <span className={`row-icon tone-${tone}`} title={outcomeWord(outcome)}>
        <Icon name={icons[tone] ?? 'dot'} />
      </span>
      <span className="visually-hidden">
        {turnName(section)}, {outcomeWord(outcome)}:
      </span>
      <span className="turn-asked" dir="auto">
        {plainText(asked) || turnName(section)}
      </span>
      <span className="turn-facts">
        {section.effectFailed && (
          <span className="level-warning" title="Something could not be delivered">
            <Icon name="warning" />
            <span className="visually-hidden">Something could not be delivered</span>
          </span>
        )}
        {section.calls > 0 && <span className="turn-calls">{plural(section.calls, 'tool call')}</span>}
        {section.saved !== null && section.saved.files.length > 0 && <Counts {...fileCounts(section.saved.files)} />}
        {section.ended !== null && <span className="row-time">{duration(section.ended.durationMs)}</span>}
      </span>
    </>
  );
}

/** A heading's or list's first line without its Markdown marks. */
function plainText(line: string): string {
  return line
    .replace(/^[#>\-*\s]+/, '')
    .replace(/[*_`]/g, '')
    .slice(0, 200);
}

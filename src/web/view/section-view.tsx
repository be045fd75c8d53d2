import { memo, useContext, useId, useMemo } from 'react';
import type { Section } from '../outline/model.ts';
import { duration, plural } from '../text/format.ts';
import { outcomeTone, outcomeWord } from '../text/status.ts';
import { Icon, type IconName } from './icons.tsx';
import { Items } from './items/items.tsx';
import { fileCounts } from './items/saved-item.tsx';
import { Counts } from './items/tool-row.tsx';
import { SessionContext } from './session-context.ts';
import { SharedFiles } from './shared-link.tsx';

type SectionViewProps = {
  section: Section;
  open: boolean;
  /** Absent for the last section, which does not fold. */
  onToggle?: (key: number) => void;
};

const icons: Record<string, IconName> = { good: 'check', stopped: 'square', bad: 'cross', waiting: 'dot', busy: 'dot' };

/** A turn with all that belongs to it; an earlier one folds to a line. */
export const SectionView = memo(function SectionView({ section, open, onToggle }: SectionViewProps) {
  const id = useId();
  const running = section.ended === null;
  const sessionId = useContext(SessionContext)?.id;
  const files = section.saved?.shared;
  const shared = useMemo(
    () => (sessionId !== undefined && files !== undefined ? { sessionId, files } : null),
    [sessionId, files],
  );
  return (
    <section
      className={open ? 'turn' : 'turn turn-folded'}
      aria-label={section.turn > 0 ? `Turn ${section.turn}` : 'Before the first turn'}
    >
      {onToggle !== undefined && (
        <button
          type="button"
          className="turn-line"
          aria-expanded={open}
          aria-controls={id}
          onClick={() => onToggle(section.key)}
        >
          <TurnLine section={section} />
        </button>
      )}
      <div id={id} hidden={!open} className="turn-body">
        <SharedFiles value={shared}>{open && <Items items={section.items} running={running} />}</SharedFiles>
      </div>
    </section>
  );
});

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
      <span className="visually-hidden">{outcomeWord(outcome)}:</span>
      <span className="turn-asked">{plainText(asked) || `Turn ${section.turn}`}</span>
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

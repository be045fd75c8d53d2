import { useCallback, useState } from 'react';
import type { Section } from '../outline/model.ts';
import { openSections } from '../outline/outline.ts';
import { OutgoingMessages } from './composer/outgoing-messages.tsx';
import { OpenBlocks } from './open-blocks.tsx';
import { SectionView } from './section-view.tsx';
import { useSession } from './session-context.ts';
import { WorkingLine } from './working-line.tsx';

/** Everything that happened, turn by turn, and what happens right now. `atEnd`: the reader follows what is new. */
export function TimelineView({ atEnd }: { atEnd: boolean }) {
  const sections = useSession((state) => state.outline.sections);
  const { isOpen, toggle } = useOpenSections(sections, atEnd);
  const last = sections.at(-1);
  return (
    <>
      {sections.map((section) => (
        <SectionView
          key={section.key}
          section={section}
          open={isOpen(section.key)}
          onToggle={section === last ? undefined : toggle}
        />
      ))}
      <div className="turn-body turn-now">
        <OpenBlocks parent={null} />
        <WorkingLine />
        <OutgoingMessages />
      </div>
    </>
  );
}

/** Sections fold of themselves only while the reader follows; what they look at further up stays as it is. */
function useOpenSections(sections: readonly Section[], atEnd: boolean) {
  const open = openSections(sections);
  const [chosen, setChosen] = useState<ReadonlyMap<number, boolean>>(new Map());
  const [before, setBefore] = useState(open);
  if (open.join() !== before.join()) {
    setBefore(open);
    const left = before.filter((key) => !open.includes(key) && !chosen.has(key));
    if (!atEnd && left.length > 0) setChosen(new Map([...chosen, ...left.map((key) => [key, true] as const)]));
  }
  const toggle = useCallback(
    (key: number) => setChosen((chosen) => new Map(chosen).set(key, !(chosen.get(key) ?? open.includes(key)))),
    [open],
  );
  return { isOpen: (key: number) => chosen.get(key) ?? open.includes(key), toggle };
}

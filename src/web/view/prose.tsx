import { memo, useDeferredValue, useRef } from 'react';
import { shownText } from '../../protocol/text/clean-text.ts';
import { noBlocks, type StreamBlocks, scanBlocks } from '../text/stream-blocks.ts';
import { Markdown } from './markdown.tsx';

/** Markdown while it is written. Finished pieces are drawn once; the last one is drawn as the browser finds time. */
export function StreamingText({ text: latest }: { text: string }) {
  const text = useDeferredValue(latest);
  // Only ever replaced by what was found in a longer text, so a drawing that is thrown away leaves nothing wrong behind.
  const found = useRef<{ text: string; blocks: StreamBlocks }>({ text: '', blocks: noBlocks });
  const blocks = scanBlocks(text.startsWith(found.current.text) ? found.current.blocks : noBlocks, text);
  if (text.length >= found.current.text.length) found.current = { text, blocks };

  return (
    <div className="prose streaming" dir="auto">
      <Pieces text={text} blocks={blocks} />
    </div>
  );
}

/** Longer text is drawn in pieces also when it is finished: no piece can hold up the others. */
const WHOLE_UP_TO = 8_000;

/** Finished text. */
export const Prose = memo(function Prose({ text: whole }: { text: string }) {
  const text = shownText(whole);
  return text.length <= WHOLE_UP_TO ? (
    <Markdown text={text} />
  ) : (
    <Pieces text={text} blocks={scanBlocks(noBlocks, text)} />
  );
});

function Pieces({ text, blocks }: { text: string; blocks: StreamBlocks }) {
  const starts = [0, ...blocks.cuts];
  const last = starts.at(-1) ?? 0;
  return starts.map((start, index) =>
    start === last && blocks.fence !== null ? (
      <pre key="fence">
        <code>{text.slice(blocks.fence.codeFrom)}</code>
      </pre>
    ) : (
      <Markdown key={start} text={text.slice(start, starts[index + 1])} />
    ),
  );
}

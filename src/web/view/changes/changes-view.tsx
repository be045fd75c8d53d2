import { useEffect, useId, useRef, useState } from 'react';
import { sessionPath } from '../../api.ts';
import { type Folder, foldersOf } from '../../changes/folders.ts';
import type { ChangedFile } from '../../changes/patch.ts';
import { plural } from '../../text/format.ts';
import { CopyButton } from '../copy-button.tsx';
import { Icon, Spinner } from '../icons.tsx';
import { Counts } from '../items/tool-row.tsx';
import { useSession, useStore } from '../session-context.ts';
import { FileDiff } from './file-diff.tsx';
import { ReviewBar } from './review-bar.tsx';
import { MOST_DRAWN, useChanges } from './use-changes.ts';
import { ReviewContext, useKeptReview } from './use-review.ts';
import { useViewed, type Viewed } from './viewed.ts';

const SPLIT_KEY = 'cyrus:diff-split';

/** The whole branch against its base. */
export default function ChangesView({ onClose }: { onClose: () => void }) {
  const { id } = useStore();
  const saved = useSession((state) => state.saved);
  const isLarge = (saved?.patchBytes ?? 0) > MOST_DRAWN;
  const heading = useRef<HTMLHeadingElement>(null);
  // Once: the header of the session changes every few seconds, and must not take the focus from what one types.
  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || event.defaultPrevented) return;
      // It closes what is open, and stops nobody. What is being written is not thrown away by it.
      event.preventDefault();
      const writing = document.activeElement;
      if (writing instanceof HTMLTextAreaElement && writing.value.trim() !== '') writing.blur();
      else onClose();
    };
    window.addEventListener('keydown', onKey, { capture: true });
    return () => window.removeEventListener('keydown', onKey, { capture: true });
  }, [onClose]);
  return (
    <section className="changes" aria-label="Changes of the branch">
      <header className="changes-head">
        <h2 ref={heading} tabIndex={-1}>
          Changes <code>{saved?.branch}</code>
        </h2>
        <button
          type="button"
          className="bar-button"
          aria-label="Close the changes"
          title="Close (Esc)"
          onClick={onClose}
        >
          <Icon name="cross" />
        </button>
      </header>
      {saved === null || saved.files.length === 0 ? (
        <p className="soft">The branch changes nothing.</p>
      ) : isLarge ? (
        <p className="soft">
          The patch is too large to be drawn. <a href={`${sessionPath(id)}/patch`}>Download it</a>.
        </p>
      ) : (
        <Files session={id} head={saved.head} branch={saved.branch} />
      )}
    </section>
  );
}

function Files({ session, head, branch }: { session: string; head: string; branch: string }) {
  const review = useKeptReview(session);
  const changes = useChanges(session, head);
  const viewed = useViewed(session);
  const [words, setWords] = useState('');
  const [isSplit, setSplit] = useState(isSplitKept);
  if (changes.at === 'failed') return <p className="problem">{changes.message}</p>;
  if (changes.at === 'loading') {
    return (
      <p className="soft">
        <Spinner /> Loading the changes
      </p>
    );
  }
  const { files } = changes;
  const folders = foldersOf(files, words);
  const chooseSplit = (split: boolean) => {
    setSplit(split);
    try {
      localStorage.setItem(SPLIT_KEY, split ? 'yes' : 'no');
    } catch {
      // It is chosen again the next time.
    }
  };
  return (
    <ReviewContext value={review}>
      <div className="changes-tools">
        <input
          type="search"
          value={words}
          aria-label="Find a file"
          placeholder="Find a file"
          onChange={(event) => setWords(event.target.value)}
        />
        <span className="soft" role="status">
          {plural(files.length, 'file')}, {files.filter(viewed.has).length} viewed
        </span>
        {review.mayWrite && (
          <span className="faint keys">
            In a diff, <kbd>↓</kbd> <kbd>↑</kbd> go from line to line and <kbd>Enter</kbd> comments
          </span>
        )}
        <fieldset className="changes-modes" aria-label="How the changes are shown">
          <button type="button" className="button" aria-pressed={!isSplit} onClick={() => chooseSplit(false)}>
            Unified
          </button>
          <button type="button" className="button" aria-pressed={isSplit} onClick={() => chooseSplit(true)}>
            Side by side
          </button>
        </fieldset>
      </div>
      <div className="changes-columns">
        <FileTree folders={folders} viewed={viewed} />
        <div className="changes-files">
          {folders
            .flatMap((folder) => folder.files)
            .map((file) => (
              <FileChange key={file.path} file={file} isSplit={isSplit} viewed={viewed} />
            ))}
          {folders.length === 0 && <p className="soft">No file has these words in its path.</p>}
        </div>
      </div>
      <ReviewBar branch={branch} head={head} files={files} />
    </ReviewContext>
  );
}

function isSplitKept(): boolean {
  try {
    return localStorage.getItem(SPLIT_KEY) === 'yes';
  } catch {
    return false; // Storage is forbidden.
  }
}

/** The files by folder; each leads to its change. */
function FileTree({ folders, viewed }: { folders: readonly Folder[]; viewed: Viewed }) {
  return (
    <nav className="changes-tree" aria-label="Changed files">
      {folders.map(({ path, files }) => (
        <details key={path} open>
          <summary>{path === '' ? 'At the top' : path}</summary>
          <ul>
            {files.map((file) => (
              <li key={file.path}>
                <button
                  type="button"
                  className={viewed.has(file) ? 'tree-file tree-viewed' : 'tree-file'}
                  onClick={() => document.getElementById(anchorOf(file))?.scrollIntoView({ block: 'start' })}
                >
                  <span className="tree-name">{file.path.slice(file.path.lastIndexOf('/') + 1)}</span>
                  {viewed.has(file) && <Icon name="check" />}
                  {!file.isBinary && <Counts added={file.added} removed={file.removed} />}
                </button>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </nav>
  );
}

const KINDS = { added: 'new', deleted: 'deleted', changed: '' } as const;

function FileChange({ file, isSplit, viewed }: { file: ChangedFile; isSplit: boolean; viewed: Viewed }) {
  const isViewed = viewed.has(file);
  // A file that somebody folded opens again when it changes, because the mark as viewed is gone then too.
  const [choice, setChoice] = useState<{ state: string; isOpen: boolean } | null>(null);
  const isOpen = choice?.state === file.state ? choice.isOpen : !isViewed;
  const setOpen = (open: boolean) => setChoice({ state: file.state, isOpen: open });
  const body = useId();
  return (
    <section className="file-change" id={anchorOf(file)} aria-label={file.path}>
      <header className="file-head">
        <button
          type="button"
          className="file-fold"
          aria-expanded={isOpen}
          aria-controls={body}
          onClick={() => setOpen(!isOpen)}
        >
          <span className="fold-mark">
            <Icon name="chevron" />
          </span>
          <span className="file-path">{file.path}</span>
        </button>
        <CopyButton text={file.path} what="the path" />
        {KINDS[file.kind] !== '' && <span className="tag">{KINDS[file.kind]}</span>}
        {file.mode !== null && <span className="tag">{file.mode}</span>}
        {!file.isBinary && <Counts added={file.added} removed={file.removed} />}
        <label className="file-viewed">
          <input
            type="checkbox"
            checked={isViewed}
            onChange={(event) => {
              viewed.mark(file, event.target.checked);
              setOpen(!event.target.checked);
            }}
          />
          Viewed
        </label>
      </header>
      <div id={body} hidden={!isOpen}>
        {isOpen && <FileDiff file={file} isSplit={isSplit} />}
      </div>
    </section>
  );
}

function anchorOf({ path }: ChangedFile): string {
  return `file:${path}`;
}

import { memo } from 'react';
import type { Entry } from '../../outline/model.ts';
import { duration, plural } from '../../text/format.ts';
import { Fold } from '../fold.tsx';
import { Icon } from '../icons.tsx';
import { SharedLink } from '../shared-link.tsx';
import { Counts } from './tool-row.tsx';

type Saved = Entry<'saved'>;

/** Work that was committed and pushed: how much, and the commits and files under it. */
export const SavedItem = memo(function SavedItem({ entry, durationMs }: { entry: Saved; durationMs: number | null }) {
  const { newCommits, files, branch, pushed } = entry;
  const words =
    files.length === 0 && newCommits === 0
      ? 'Nothing changed'
      : `${plural(newCommits, 'new commit')} on ${branch}${pushed ? '' : ', not pushed'}`;
  return (
    <div className="saved">
      <Fold
        name={`saved ${entry.seq}`}
        line={
          <>
            <span className="row-icon">
              <Icon name="branch" />
            </span>
            <span className="row-words">{words}</span>
            {files.length > 0 && <span className="tool-note">{plural(files.length, 'file')}</span>}
            {entry.shared !== undefined && (
              <span className="tool-note">{plural(entry.shared.length, 'shared file')}</span>
            )}
            {files.length > 0 && <Counts {...fileCounts(files)} />}
            {durationMs !== null && <span className="row-time">{duration(durationMs)}</span>}
          </>
        }
      >
        {() => (
          <div className="saved-body">
            <CommitList commits={entry.commits} />
            <FileList files={files} />
            {entry.shared !== undefined && <SharedList files={entry.shared} />}
          </div>
        )}
      </Fold>
      {entry.problem !== undefined && <p className="problem">{entry.problem}</p>}
    </div>
  );
});

/** Commits of the branch, newest first. */
export function CommitList({ commits }: Pick<Saved, 'commits'>) {
  return (
    <ol className="commits">
      {commits.map((commit) => (
        <li key={commit.sha}>
          <code>{commit.sha.slice(0, 7)}</code> {commit.subject}
        </li>
      ))}
    </ol>
  );
}

/** Files changed against the base branch. */
export function FileList({ files }: Pick<Saved, 'files'>) {
  return (
    <ul className="files">
      {files.map((file) => (
        <li key={file.path}>
          <FilePath path={file.path} />
          {file.additions === null || file.deletions === null ? (
            <span className="faint">binary</span>
          ) : (
            <Counts added={file.additions} removed={file.deletions} />
          )}
        </li>
      ))}
    </ul>
  );
}

/** Files that Claude shared, whether or not it speaks of them. */
function SharedList({ files }: { files: NonNullable<Saved['shared']> }) {
  return (
    <ul className="files" aria-label="Shared files">
      {files.map(({ name }) => (
        <li key={name}>
          <SharedLink address={`share/${name}`} words={name} inPlace={false} />
          <span className="faint">shared</span>
        </li>
      ))}
    </ul>
  );
}

/** Sum of the lines added and removed; binary files have none. */
export function fileCounts(files: Saved['files']): { added: number; removed: number } {
  return {
    added: files.reduce((sum, file) => sum + (file.additions ?? 0), 0),
    removed: files.reduce((sum, file) => sum + (file.deletions ?? 0), 0),
  };
}

/** The name of a file must stay readable where its path is too long: only the directory is cut. */
function FilePath({ path }: { path: string }) {
  const slash = path.lastIndexOf('/') + 1;
  return (
    <span className="path" title={path}>
      {slash > 0 && <span className="path-dir">{path.slice(0, slash)}</span>}
      <span className="path-name">{path.slice(slash)}</span>
    </span>
  );
}

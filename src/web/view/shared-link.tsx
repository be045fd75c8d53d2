import { createContext, type ReactNode, useContext } from 'react';
import { isSafeImage } from '../../protocol/file-type.ts';
import { type SharedFile, sharedName } from '../../protocol/files.ts';
import { sessionPath } from '../api.ts';

/** The files that Claude had shared when the turn around was saved; null outside of a turn. */
export const SharedFiles = createContext<{ sessionId: string; files: readonly SharedFile[] } | null>(null);

/** Whether an address is that of a shared file, and no path of the repository, say. */
export function isSharedAddress(address: string): boolean {
  return sharedName(address) !== null;
}

/** A link to a shared file: the picture itself where one is meant and it is safe to show, otherwise a download. */
export function SharedLink({
  address,
  words,
  inPlace,
}: {
  address: string;
  words: ReactNode;
  /** Written as an image. */
  inPlace: boolean;
}) {
  const shared = useContext(SharedFiles);
  const file = shared?.files.find(({ name }) => name === sharedName(address));
  // Not stored yet, or never: it is with the save at the end of the turn.
  if (!shared || !file) return <span className="faint">{words}</span>;
  const path = `${sessionPath(shared.sessionId)}/shared/${file.hash}?name=${encodeURIComponent(file.name)}`;
  if (inPlace && isSafeImage(file.type)) {
    const alt = typeof words === 'string' ? words : file.name;
    return (
      <a href={path} target="_blank" rel="noopener noreferrer" className="shared-image">
        <img src={path} alt={alt} loading="lazy" decoding="async" />
      </a>
    );
  }
  return (
    <a href={path} target="_blank" rel="noopener noreferrer">
      {words}
    </a>
  );
}

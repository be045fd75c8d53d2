import { useEffect, useState } from 'react';
import { imageTypeOf, readBinary } from '../../changes/binary-patch.ts';
import type { ChangedFile } from '../../changes/patch.ts';
import { bytes } from '../../text/format.ts';

type Picture = { url: string; size: number };
type Pictures = { before: Picture | null; after: Picture | null };

/** A binary file: an image before and after the changes, or that there is nothing to draw. */
export function ImageDiff({ file }: { file: ChangedFile }) {
  const [pictures, setPictures] = useState<Pictures | 'none' | null>(null);
  useEffect(() => {
    let isGone = false;
    void picturesOf(file).then((read) => {
      if (!isGone) setPictures(read ?? 'none');
    });
    return () => {
      isGone = true;
    };
  }, [file]);
  if (pictures === null) return <p className="soft file-note">Reading the image</p>;
  if (pictures === 'none') return <p className="soft file-note">A binary file; the patch has it.</p>;
  return (
    <div className="image-diff">
      <Side name="Before" path={file.path} picture={pictures.before} />
      <Side name="After" path={file.path} picture={pictures.after} />
    </div>
  );
}

function Side({ name, path, picture }: { name: string; path: string; picture: Picture | null }) {
  const [size, setSize] = useState('');
  const [isBroken, setBroken] = useState(false);
  if (picture === null) return null;
  return (
    <figure>
      {isBroken ? (
        <p className="soft">This image cannot be drawn.</p>
      ) : (
        <img
          src={picture.url}
          alt={`${name} the changes: ${path}`}
          decoding="async"
          onError={() => setBroken(true)}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
            setSize(`${naturalWidth} × ${naturalHeight}, `)
          }
        />
      )}
      <figcaption className="faint">
        {name} · {size}
        {bytes(picture.size)}
      </figcaption>
    </figure>
  );
}

/** @returns null: it is no image that can be drawn. Never rejects. */
async function picturesOf(file: ChangedFile): Promise<Pictures | null> {
  const change = await readBinary(file.binary).catch(() => null);
  if (change === null) return null;
  const [before, after] = await Promise.all([pictureOf(change.before), pictureOf(change.after)]);
  return before === null && after === null ? null : { before, after };
}

/** As an address with the content in it, which the policy of the page allows for images. */
function pictureOf(content: Uint8Array): Promise<Picture | null> {
  const type = imageTypeOf(content);
  if (type === null) return Promise.resolve(null);
  const { promise, resolve } = Promise.withResolvers<Picture | null>();
  const reader = new FileReader();
  reader.onload = () => resolve({ url: String(reader.result), size: content.length });
  reader.onerror = () => resolve(null);
  reader.readAsDataURL(new Blob([new Uint8Array(content)], { type }));
  return promise;
}

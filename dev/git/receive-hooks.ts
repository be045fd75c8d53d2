/**
 * What GitHub refuses of a push, in its own words: files over 100 MiB (GH001), pointers of Git LFS whose object it does not have (GH008),
 * branches that are protected (GH006). See docs.github.com: "About large files on GitHub", "About protected branches". The refs of pull
 * requests are refused by git itself, as they are hidden (`receive.hideRefs`).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAX_FILE_BYTES = 100 * 1024 * 1024;

/** In place of the hooks' folder of each repository; the name cannot be an owner's. */
const FOLDER = '.hooks';

/**
 * Looks at what a push brings. The repository's own `hooks/pre-receive` follows, as on GitHub Enterprise Server. An LFS object is there
 * when it lies where git-lfs keeps it: `lfs/objects/ab/cd/abcd…` in the repository.
 */
const preReceive = `#!/bin/sh
updates=$(cat)
tips=$(printf '%s\\n' "$updates" | while read -r old new ref; do case $new in *[!0]*) echo "$new";; esac; done)
if [ -n "$tips" ]; then
  # Tips that are no commits (a tag of a blob) are objects too.
  found=$(printf '%s\\n' $tips | git rev-list --objects --stdin --not --all) || exit 1
  blobs=$(printf '%s\\n' "$found" | git cat-file --batch-check='%(objecttype) %(objectsize) %(objectname) %(rest)' | grep '^blob ')
  large=$(printf '%s\\n' "$blobs" | awk '$2 > ${MAX_FILE_BYTES} {
    size = $2; $1 = $2 = $3 = ""; sub(/^ +/, "");
    printf "error: File %s is %.2f MB; this exceeds GitHub\\047s file size limit of 100.00 MB\\n", $0, size / 1048576 }')
  if [ -n "$large" ]; then
    echo 'error: See https://gh.io/lfs for more information.' >&2
    printf '%s\\n' "$large" >&2
    echo 'error: GH001: Large files detected. You may want to try Git Large File Storage - https://git-lfs.github.com.' >&2
    exit 1
  fi
  # A pointer has about 130 bytes, and at most 1,023 by its specification.
  pointers=$(printf '%s\\n' "$blobs" | awk '$2 > 99 && $2 < 1024 { print $3 }' | git cat-file --batch | awk '
    NF == 3 && $2 == "blob" && length($1) >= 40 { start = 1; pointer = 0; next }
    start && $0 == "version https://git-lfs.github.com/spec/v1" { pointer = 1 }
    { start = 0 }
    pointer && $1 == "oid" && sub(/^sha256:/, "", $2) && length($2) == 64 { print $2; pointer = 0 }' | sort -u)
  missing=$(for oid in $pointers; do
    rest=\${oid#??}
    [ -f "lfs/objects/\${oid%"$rest"}/\${rest%"\${rest#??}"}/$oid" ] || echo "$oid"
  done)
  if [ -n "$missing" ]; then
    count=$(printf '%s\\n' "$missing" | wc -l | tr -d ' ')
    [ "$count" = 1 ] && things=object || things=objects
    echo "error: GH008: Your push referenced at least $count unknown Git LFS $things:" >&2
    printf '%s\\n' "$missing" | sed 's/^/    /' >&2
    echo "Try to push them with 'git lfs push --all'." >&2
    exit 1
  fi
fi
if [ -x hooks/pre-receive ]; then
  printf '%s\\n' "$updates" | hooks/pre-receive || exit 1
fi
`;

/**
 * Writes the hooks that all repositories of a host have.
 * @param root directory of the repositories
 * @returns their folder, for `core.hooksPath`
 */
export async function writeReceiveHooks(root: string): Promise<string> {
  const folder = join(root, FOLDER);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'pre-receive'), preReceive, { mode: 0o755 });
  const program = fileURLToPath(new URL('protected-branches.ts', import.meta.url));
  await writeFile(join(folder, 'proc-receive'), `#!/bin/sh\nexec "${process.execPath}" "${program}"\n`, {
    mode: 0o755,
  });
  return folder;
}

/**
 * Settings of git for a push.
 * @param hooks folder of the hooks
 * @param branches protected ones; `release` also protects `release/1.0`
 */
export function receiveSettings(hooks: string, branches: readonly string[]): [string, string][] {
  return [
    ['core.hooksPath', hooks],
    ['receive.hideRefs', 'refs/pull/'],
    ...branches.map((branch): [string, string] => ['receive.procReceiveRefs', `refs/heads/${branch}`]),
  ];
}

/** Which files of a repository say what its setup script installs, in any folder (pure). */
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';

/** Lock files and manifests, by the package managers that share them. A manifest with a lock file beside it decides nothing. */
const ECOSYSTEMS: readonly { locks: RegExp; manifests: RegExp | null }[] = [
  {
    locks: /^(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|yarn\.lock|bun\.lockb?|deno\.lock)$/,
    manifests: /^package\.json$/,
  },
  {
    locks: /^(?:poetry\.lock|uv\.lock|pdm\.lock|Pipfile\.lock|pylock(?:\.\w+)?\.toml|conda-lock\.yml)$/,
    manifests: /^(?:pyproject\.toml|setup\.(?:py|cfg)|Pipfile|environment\.ya?ml)$/,
  },
  { locks: /^Gemfile\.lock$/, manifests: /^(?:Gemfile|[\w.-]+\.gemspec)$/ },
  { locks: /^go\.(?:work\.)?sum$/, manifests: /^go\.(?:mod|work)$/ },
  { locks: /^Cargo\.lock$/, manifests: /^Cargo\.toml$/ },
  { locks: /^composer\.lock$/, manifests: /^composer\.json$/ },
  { locks: /^mix\.lock$/, manifests: /^mix\.exs$/ },
  { locks: /^pubspec\.lock$/, manifests: /^pubspec\.yaml$/ },
  { locks: /^packages\.lock\.json$/, manifests: /^(?:[\w.-]+\.(?:cs|fs|vb)proj|Directory\.Packages\.props)$/ },
  {
    locks: /^gradle\.lockfile$/,
    manifests: /^(?:(?:build|settings)\.gradle(?:\.kts)?|libs\.versions\.toml|pom\.xml)$/,
  },
  { locks: /^(?:Podfile|Package)\.(?:lock|resolved)$/, manifests: /^(?:Podfile|Package\.swift)$/ },
  // Both what is wanted and what is installed, or the tools that install it.
  {
    locks:
      /^(?:requirements[\w.-]*\.(?:txt|in)|constraints[\w.-]*\.txt|\.nvmrc|\.node-version|\.python-version|\.ruby-version|\.tool-versions|mise\.toml|rust-toolchain(?:\.toml)?|\.npmrc|\.yarnrc(?:\.yml)?|pnpm-workspace\.yaml|flake\.lock)$/,
    manifests: null,
  },
];
/** Pinned packages by purpose, as in `requirements/dev.txt`; patches of packages, as patch-package, pnpm and yarn keep them. */
const IN_FOLDER = /(?:^|\/)(?:requirements\/[^/]+\.(?:txt|in)|(?:\.yarn\/)?patches\/.+)$/;

/** Of a repository's files those that say which packages are installed. */
export function decisive(files: readonly string[]): string[] {
  const found = new Set(files.filter((path) => IN_FOLDER.test(path)));
  for (const { locks, manifests } of ECOSYSTEMS) {
    const locked = files.filter((path) => locks.test(nameOf(path)));
    const folders = new Set(locked.map(folderOf));
    const unlocked = files.filter((path) => manifests?.test(nameOf(path)) && !folders.has(folderOf(path)));
    for (const path of [...locked, ...unlocked]) found.add(path);
  }
  return files.filter((path) => found.has(path));
}

const FIELDS = /dependenc|overrides|resolutions|^(?:workspaces|packageManager|engines|pnpm|bin|catalogs?|bundled\w*)$/i;
const SCRIPTS = /install|prepare|prepublish/;

/** What of such a file decides: of a package.json, which changes with every release, only what an installation reads. */
export function decisivePart(path: string, content: Buffer): Buffer {
  if (nameOf(path) !== 'package.json') return content;
  const { data } = manifestSchema.safeParse(parseJson(content.toString('utf8')));
  if (!data) return content;
  const kept = Object.entries(data).filter(([name]) => FIELDS.test(name));
  const scripts = Object.entries(data.scripts ?? {}).filter(([name]) => SCRIPTS.test(name));
  return Buffer.from(JSON.stringify([kept, scripts]));
}

const manifestSchema = z.looseObject({ scripts: z.record(z.string(), z.unknown()).optional() });

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/** The git host's pages: what repositories there are, and what a branch holds. Read-only, without script. */
import { Html, html } from './html.ts';
import {
  type Branch,
  defaultBranch,
  type LoggedCommit,
  listBranches,
  listFiles,
  mergeBase,
  readDiff,
  readFileAt,
  readLog,
  resolveRef,
} from './repository.ts';

/** A diff or a file longer than this is cut on the page, in UTF-16 code units. */
const MAX_SHOWN = 400_000;

/** Page `/`: all repositories with their branches. */
export async function indexPage(
  repositories: { fullName: string; directory: string; cloneUrl: string }[],
): Promise<Html> {
  const sections = await Promise.all(
    repositories.map(
      async ({ fullName, directory, cloneUrl }) => html`<section><h2><a href="/${fullName}">${fullName}</a></h2>
<p>Clone with <code>git clone ${cloneUrl}</code></p>${branchTable(fullName, await listBranches(directory))}</section>`,
    ),
  );
  return page('Git host', sections.length > 0 ? html`${sections}` : html`<p>No repositories.</p>`);
}

/** Page `/owner/name`: branches and files of the default branch. */
export async function repositoryPage(fullName: string, directory: string): Promise<Html> {
  const branch = await defaultBranch(directory);
  return page(
    fullName,
    html`<h2>Branches</h2>${branchTable(fullName, await listBranches(directory))}
<h2>Files of ${branch}</h2>${fileList(fullName, branch, await listFiles(directory, branch))}`,
  );
}

/** Page `/owner/name/tree/branch`: what the branch adds to the default branch, as commits and as one difference. */
export async function branchPage(fullName: string, directory: string, branch: string): Promise<Html> {
  const main = await defaultBranch(directory);
  const [head, mainHead] = await Promise.all([resolveRef(directory, branch), resolveRef(directory, main)]);
  const base = await mergeBase(directory, mainHead, head);
  const own = head !== mainHead;
  const [commits, diff, files] = await Promise.all([
    readLog(directory, branch, own ? mainHead : undefined),
    own ? readDiff(directory, base, head) : null,
    listFiles(directory, branch),
  ]);
  const title = own ? html`Commits that ${main} does not have` : html`Commits`;
  return page(
    `${branch} · ${fullName}`,
    html`<p><a href="/${fullName}">${fullName}</a> at <code>${head}</code></p>
<h2>${title} (${commits.length})</h2>${commitList(fullName, commits)}
${diff === null ? null : html`<h2>Changes against ${main}</h2>${diffBlock(diff)}`}
<h2>Files</h2>${fileList(fullName, branch, files)}`,
  );
}

/** Page `/owner/name/commit/sha`: one commit with its difference. */
export async function commitPage(fullName: string, directory: string, ref: string): Promise<Html> {
  const sha = await resolveRef(directory, ref);
  const [commit, parent] = await readLog(directory, sha);
  if (!commit) throw new Error(`git has no log of ${sha}`);
  const diff = await readDiff(directory, parent?.sha ?? null, sha);
  return page(
    `${commit.subject} · ${fullName}`,
    html`<p><a href="/${fullName}">${fullName}</a> <code>${sha}</code></p>
<p>${commit.author} &lt;${commit.email}&gt;, ${time(commit.at)}</p><pre>${commit.body}</pre>${diffBlock(diff)}`,
  );
}

/** Page `/owner/name/blob/branch?path=…`: one file. */
export async function filePage(fullName: string, directory: string, branch: string, path: string): Promise<Html> {
  const text = await readFileAt(directory, branch, path);
  return page(
    `${path} · ${fullName}`,
    html`<p><a href="/${fullName}/tree/${urlPath(branch)}">${branch}</a></p><pre>${text.slice(0, MAX_SHOWN)}</pre>`,
  );
}

/** Page that says what is wrong. */
export function errorPage(message: string): Html {
  return page('Not here', html`<p>${message}</p><p><a href="/">All repositories</a></p>`);
}

function branchTable(fullName: string, branches: Branch[]): Html {
  if (branches.length === 0) return html`<p>No branches yet.</p>`;
  return html`<table>${branches.map(
    (branch) => html`<tr><td><a href="/${fullName}/tree/${urlPath(branch.name)}">${branch.name}</a></td>
<td>${branch.subject}</td><td>${time(branch.at)}</td></tr>`,
  )}</table>`;
}

function commitList(fullName: string, commits: LoggedCommit[]): Html {
  return html`<table>${commits.map(
    (commit) => html`<tr><td><a href="/${fullName}/commit/${commit.sha}"><code>${commit.sha.slice(0, 8)}</code></a></td>
<td>${commit.subject}</td><td>${commit.author}</td><td>${time(commit.at)}</td></tr>`,
  )}</table>`;
}

function fileList(fullName: string, branch: string, paths: string[]): Html {
  return html`<ul>${paths.map(
    (path) =>
      html`<li><a href="/${fullName}/blob/${urlPath(branch)}?path=${encodeURIComponent(path)}">${path}</a></li>`,
  )}</ul>`;
}

function diffBlock(diff: string): Html {
  if (diff === '') return html`<p>No difference.</p>`;
  const lines = diff.slice(0, MAX_SHOWN).split('\n');
  const cut = diff.length > MAX_SHOWN ? html`<p>The rest is too long for this page.</p>` : null;
  return html`<pre class="diff">${lines.map((line) => html`<span class="${diffClass(line)}">${line}</span>\n`)}</pre>${cut}`;
}

function diffClass(line: string): string {
  if (/^(diff|index|---|\+\+\+|new file|deleted file|similarity|rename)/.test(line)) return 'file';
  if (line.startsWith('@@')) return 'hunk';
  if (line.startsWith('+')) return 'added';
  return line.startsWith('-') ? 'removed' : '';
}

/** Branch names contain slashes, which stay readable in the address. */
function urlPath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

function time(seconds: number): Html {
  return html`<time>${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC</time>`;
}

const style = new Html(`:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td{padding:.2rem 1rem .2rem 0;vertical-align:top}time{white-space:nowrap;opacity:.7}
pre{overflow:auto;padding:1rem;border:1px solid #8884;border-radius:6px;font-size:14px}
.added{background:#2da44e33}.removed{background:#cf222e33}.hunk{opacity:.7}.file{font-weight:600}`);

function page(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${style}</style></head><body><p><a href="/">Git host</a></p><main><h1>${title}</h1>
${body}</main></body></html>`;
}

/** The stand-in's pages: pull requests, and one of them with its commits and its difference. Forms, no script. */
import { Html, html } from '../git/html.ts';
import type { LoggedCommit } from '../git/repository.ts';
import type { Pull } from './state.ts';

/** A difference longer than this is cut, in UTF-16 code units. */
const MAX_SHOWN = 400_000;

/** Page `/`: every pull request. */
export function listPage(pulls: readonly Pull[]): Html {
  const rows = pulls.map(
    (pull) => html`<tr><td>${badge(pull)}</td><td><a href="${pagePath(pull)}">#${pull.number} ${pull.title}</a></td>
<td>${pull.repository}</td><td>${time(pull.updatedAt)}</td></tr>`,
  );
  return page(
    'Pull requests',
    rows.length > 0
      ? html`<table>${rows}</table>`
      : html`<p>None yet. Cyrus opens one when a turn has changed something.</p>`,
  );
}

/** Page `/owner/name/pull/1`. */
export function pullPage(pull: Pull, commits: readonly LoggedCommit[], diff: string, branchUrl: string): Html {
  const cut = diff.length > MAX_SHOWN ? html`<p>The rest is too long for this page.</p>` : null;
  return page(
    `${pull.title} #${pull.number}`,
    html`<p>${badge(pull)} <b>${pull.author}</b> wants to merge <a href="${branchUrl}"><code>${pull.head}</code></a> into
<code>${pull.base}</code> in ${pull.repository}</p>
<section class="body" aria-label="Description">${prose(pull.body ?? '')}</section>
${pull.comments.map(({ author, body }) => html`<section class="body"><b>${author}</b><br>${prose(body)}</section>`)}
${actions(pull)}
<h2>Commits (${commits.length})</h2><ul>${commits.map(
      (commit) =>
        html`<li><code>${commit.sha.slice(0, 8)}</code> ${commit.subject} <small>${commit.author}</small></li>`,
    )}</ul>
<h2>Files changed</h2><pre class="diff">${diff
      .slice(0, MAX_SHOWN)
      .split('\n')
      .map((line) => html`<span class="${diffClass(line)}">${line}</span>\n`)}</pre>${cut}
<details><summary>Write into the description, as a person would</summary>
<form method="post" action="${pagePath(pull)}/edit"><label>Title<br><input name="title" value="${pull.title}"></label>
<label>Description<br><textarea name="body" rows="16">${pull.body ?? ''}</textarea></label><button>Save</button></form></details>`,
  );
}

/** Page that says what is wrong. */
export function errorPage(message: string): Html {
  return page('Not here', html`<p>${message}</p>`);
}

/** Path of a pull request's page. */
export function pagePath({ repository, number }: Pull): string {
  return `/${repository}/pull/${number}`;
}

function actions(pull: Pull): Html {
  const button = (name: string, words: string) =>
    html`<button formaction="${pagePath(pull)}/${name}">${words}</button> `;
  const offered =
    pull.state === 'open'
      ? [pull.draft ? button('ready', 'Ready for review') : button('merge', 'Merge'), button('close', 'Close')]
      : pull.mergedAt === null
        ? [button('reopen', 'Reopen')]
        : [];
  return html`<form method="post">${offered}</form>`;
}

function badge(pull: Pull): Html {
  const word = pull.mergedAt !== null ? 'Merged' : pull.state === 'closed' ? 'Closed' : pull.draft ? 'Draft' : 'Open';
  return html`<span class="badge ${word.toLowerCase()}">${word}</span>`;
}

/** Markdown as its text, with links that can be followed; comments of HTML are hidden, as GitHub hides them. */
function prose(text: string): Html {
  const shown = text.replace(/<!--[\s\S]*?-->\n?/g, '').trim();
  if (shown === '') return html`<i>No description.</i>`;
  const parts = shown.split(/(\[[^\]\n]+\]\(https?:\/\/[^)\s]+\))/);
  return html`${parts.map((part) => {
    const [, words, address] = /^\[([^\]]+)\]\((.+)\)$/.exec(part) ?? [];
    return words === undefined || address === undefined ? html`${part}` : html`<a href="${address}">${words}</a>`;
  })}`;
}

function diffClass(line: string): string {
  if (/^(diff|index|---|\+\+\+|new file|deleted file|similarity|rename)/.test(line)) return 'file';
  if (line.startsWith('@@')) return 'hunk';
  if (line.startsWith('+')) return 'added';
  return line.startsWith('-') ? 'removed' : '';
}

function time(at: number): Html {
  return html`<time>${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC</time>`;
}

const style = new Html(`:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td{padding:.3rem 1rem .3rem 0;vertical-align:top}time{white-space:nowrap;opacity:.7}
.body{white-space:pre-wrap;overflow-wrap:anywhere;padding:1rem;border:1px solid #8884;border-radius:6px;margin:1rem 0}
.badge{border-radius:1rem;padding:.1rem .7rem;color:#fff;background:#59636e;font-size:14px}
.open{background:#1a7f37}.merged{background:#8250df}.closed{background:#cf222e}
pre{overflow:auto;padding:1rem;border:1px solid #8884;border-radius:6px;font-size:14px}
.added{background:#2da44e33}.removed{background:#cf222e33}.hunk{opacity:.7}.file{font-weight:600}
label{display:block;margin:.5rem 0}input,textarea{width:100%;font:inherit}button{font:inherit;padding:.3rem 1rem}`);

function page(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${style}</style></head><body><p><a href="/">GitHub stand-in</a></p><main><h1>${title}</h1>
${body}</main></body></html>`;
}

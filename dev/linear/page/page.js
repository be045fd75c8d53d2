/** The page: lists of issues and documents, one of them open, and what people do with it. All data comes from /control. */
import { act, call, controlAddress, storeFiles } from './control-client.js';
import { element, link, markdown } from './markdown.js';
import { reconcile, showThread, statusBadge } from './thread.js';
import { showApplication, showWorkspaces } from './workspace.js';

const LISTED = 300;
const $ = (id) => document.getElementById(id);

const issues = new Map();
const documents = new Map();
let state = null;
/** @type {{ kind: 'issue' | 'document', reference: string } | null} */
let opened = null;
let thread = null;
let loadingThread = null;
let reloadThread = false;

const onIssue = (method, path, body) => call(method, `issues/${opened.reference}/${path}`, body).then(loadThread);
const onSession = (sessionId, path, body) => call('POST', `sessions/${sessionId}/${path}`, body).then(loadThread);

async function start() {
  await loadState();
  await showWorkspaces(state.workspace);
  await loadLists();
  listen();
  openFromAddress();
}

async function loadState() {
  state = await call('GET', 'state');
  for (const place of document.querySelectorAll('[data-agent]')) place.textContent = state.appUser.name;
  $('comment-hint').textContent = `Markdown. @${state.appUser.displayName} mentions the agent. Ctrl+Enter sends.`;
  showApplication(state);
}

async function loadLists() {
  for (const issue of await call('GET', `issues?limit=${LISTED}`)) issues.set(issue.identifier, issue);
  for (const one of await call('GET', 'documents')) documents.set(one.id, one);
  showLists();
}

function showLists() {
  showIssues();
  showDocuments();
}

function showIssues() {
  const listed = newestFirst([...issues.values()].filter(({ removed }) => !removed)).map((issue) => ({
    key: issue.identifier,
    signature: JSON.stringify([issue.title, issue.state, issue.session, issue.delegated, isOpen(issue)]),
    render: () => issueItem(issue),
  }));
  reconcile($('issues'), listed);
  const hidden = Math.max(state.issueCount, issues.size) - listed.length;
  $('more-issues').hidden = hidden <= 0;
  $('more-issues').textContent = `and ${hidden} older`;
}

function showDocuments() {
  const listed = newestFirst([...documents.values()]).map((one) => ({
    key: one.id,
    signature: JSON.stringify([one.title, one.session, isOpen(one)]),
    render: () => documentItem(one),
  }));
  reconcile($('documents'), listed);
}

function newestFirst(items) {
  return items.sort((one, other) => other.createdAt.localeCompare(one.createdAt)).slice(0, LISTED);
}

/** @param item an issue, which has an identifier, or a document */
function isOpen(item) {
  return opened !== null && opened.reference === (item.identifier ?? item.id);
}

function documentItem(one) {
  const meta = element('span', { class: 'issue-meta' }, one.session ? statusBadge(one.session) : null);
  return listItem(one, element('span', { class: 'issue-name' }, one.title), meta);
}

function issueItem(issue) {
  return listItem(
    issue,
    element('span', { class: 'identifier' }, issue.identifier),
    element('span', { class: 'issue-name' }, issue.title),
    element(
      'span',
      { class: 'issue-meta' },
      element('span', { class: `state ${issue.state.type}` }, issue.state.name),
      issue.session ? statusBadge(issue.session) : null,
      issue.delegated ? element('span', { class: 'tag' }, state.appUser.name) : null,
    ),
  );
}

function listItem(item, ...content) {
  const attributes = { href: new URL(item.url).pathname, 'aria-current': isOpen(item) ? 'page' : null };
  const anchor = element('a', attributes, ...content);
  anchor.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, '', anchor.pathname);
    openFromAddress();
  });
  return element('li', {}, anchor);
}

const UUID_AT_END = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** /example/issue/ENG-1/the-title opens ENG-1, /example/document/the-title-<id> that document; / opens nothing. */
function openedByAddress() {
  const [, , kind, name = ''] = location.pathname.split('/');
  if (kind === 'issue' && name) return { kind, reference: decodeURIComponent(name).toUpperCase() };
  const [id] = UUID_AT_END.exec(name) ?? [];
  return kind === 'document' && id ? { kind, reference: id } : null;
}

function openFromAddress() {
  opened = openedByAddress();
  thread = null;
  $('timeline').replaceChildren();
  $('open-issue').hidden = true;
  $('nothing').hidden = opened !== null;
  $('composer').reset();
  document.title = opened?.kind === 'issue' ? `${opened.reference} · Linear simulator` : 'Linear simulator';
  showLists();
  if (opened) loadThread().then(() => $('issue').focus(), console.error);
}

/** One request at a time; a change that comes meanwhile leads to one more. */
async function loadThread() {
  if (loadingThread) {
    reloadThread = true;
    return loadingThread;
  }
  const wanted = opened;
  loadingThread = call('GET', `${wanted.kind}s/${wanted.reference}`);
  try {
    const loaded = await loadingThread;
    if (wanted === opened) {
      const first = thread === null;
      thread = loaded;
      showOpened(first);
    }
  } finally {
    loadingThread = null;
  }
  if (reloadThread || wanted !== opened) {
    reloadThread = false;
    if (opened) await loadThread();
  }
}

function showOpened(first) {
  const isIssue = opened.kind === 'issue';
  $('open-issue').hidden = false;
  $('issue-identifier').textContent = isIssue ? thread.issue.identifier : 'Document';
  $('issue-title').textContent = isIssue ? thread.issue.title : thread.document.title;
  const text = isIssue ? thread.issue.description : thread.document.content;
  $('issue-description').replaceChildren(markdown(text ?? ''));
  $('issue-controls').hidden = !isIssue;
  if (isIssue) showIssue(thread);
  else $('issue-attachments').hidden = true;

  const { sessions } = thread;
  const [reply, beside] = $('composer').elements.thread;
  $('beside').textContent = isIssue ? 'Comment on the issue' : `Mention @${state.appUser.displayName} in a new thread`;
  reply.disabled = sessions.length === 0;
  if (sessions.length === 0) beside.checked = true;
  else if (first || !showOpened.hadSession) reply.checked = true;
  showOpened.hadSession = sessions.length > 0;
  showTimeline();
}

function showIssue({ issue, attachments }) {
  $('issue-labels').replaceChildren(...issue.labels.map(({ name }) => element('span', { class: 'tag' }, name)));
  $('delegate').hidden = issue.delegated;
  $('undelegate').hidden = !issue.delegated;
  $('remove').hidden = issue.removed;
  const team = state.teams.find((candidate) => candidate.key === issue.team);
  const names = team.states.map(({ name }) => element('option', { selected: name === issue.state.name }, name));
  if (document.activeElement !== $('issue-state')) $('issue-state').replaceChildren(...names);
  $('issue-attachments').hidden = attachments.length === 0;
  $('issue-attachments').replaceChildren(...attachments.map(({ url, title }) => element('li', {}, link(url, title))));
}

function showTimeline() {
  showThread($('timeline'), thread, {
    showVanished: $('show-vanished').checked,
    agentName: state.appUser.name,
    onStop: (sessionId) => act(() => onSession(sessionId, 'stop'))(),
    onChoose: (sessionId, body) => act(() => onSession(sessionId, 'comments', { body }))(),
  });
}

/** The browser reconnects by itself; what was missed meanwhile is loaded anew. */
function listen() {
  const events = new EventSource(controlAddress('events'));
  let connected = false;
  events.addEventListener('ready', () => {
    $('connection').textContent = 'Live';
    $('connection').dataset.live = 'true';
    if (connected) loadLists().then(() => opened && loadThread(), console.error);
    connected = true;
  });
  events.addEventListener('issues', (event) => {
    const changed = JSON.parse(event.data);
    for (const issue of changed) issues.set(issue.identifier, issue);
    showIssues();
    if (changed.some(isOpen)) loadThread().catch(console.error);
    showDeliveriesSoon();
  });
  events.addEventListener('documents', (event) => {
    const changed = JSON.parse(event.data);
    for (const one of changed) documents.set(one.id, one);
    showDocuments();
    if (changed.some(isOpen)) loadThread().catch(console.error);
  });
  events.addEventListener('state', () => loadState().catch(console.error));
  events.addEventListener('error', () => {
    $('connection').textContent = 'Disconnected, trying again…';
    $('connection').dataset.live = 'false';
  });
}

let deliveriesTimer = null;

/** An attempt takes a moment, so the table follows a little later. */
function showDeliveriesSoon() {
  if (!$('deliveries').open || deliveriesTimer) return;
  deliveriesTimer = setTimeout(() => {
    deliveriesTimer = null;
    showDeliveries().catch(console.error);
  }, 300);
}

async function showDeliveries() {
  const deliveries = await call('GET', 'deliveries?limit=50');
  const rows = deliveries.reverse().map((delivery) => {
    const last = delivery.attempts.at(-1);
    const answer = last ? `${last.status ?? last.error} in ${last.ms} ms` : '';
    const next = delivery.nextAttemptAt ? `, again at ${new Date(delivery.nextAttemptAt).toLocaleTimeString()}` : '';
    const cells = [
      new Date(delivery.createdAt).toLocaleTimeString(),
      `${delivery.event} ${delivery.action}`,
      delivery.state + next,
      answer,
      String(delivery.attempts.length),
    ];
    return element('tr', { class: delivery.state }, ...cells.map((text) => element('td', {}, text)));
  });
  $('delivery-rows').replaceChildren(...rows);
}

$('new-issue').addEventListener(
  'submit',
  act(async () => {
    const { title, description, files, assign } = $('new-issue').elements;
    const text = [description.value, await storeFiles(files.files)].filter(Boolean).join('\n\n');
    const issue = await call('POST', 'issues', { title: title.value, description: text || null });
    if (assign.checked) await call('POST', `issues/${issue.identifier}/delegate`);
    $('new-issue').reset();
    history.pushState(null, '', new URL(issue.url).pathname);
    openFromAddress();
  }),
);
$('new-document').addEventListener(
  'submit',
  act(async () => {
    const { url } = await call('POST', 'documents', { title: $('new-document-name').value });
    $('new-document').reset();
    history.pushState(null, '', new URL(url).pathname);
    openFromAddress();
  }),
);

/** @param place `agent`: the latest session's thread */
function send(body, place) {
  if (opened.kind === 'issue') return onIssue('POST', 'comments', { body, thread: place });
  if (place === 'agent') return onSession(thread.sessions.at(-1).id, 'comments', { body });
  return call('POST', `documents/${opened.reference}/mention`, { body }).then(loadThread);
}

$('composer').addEventListener(
  'submit',
  act(async () => {
    const { body, thread: place } = $('composer').elements;
    const text = body.value;
    body.value = '';
    try {
      await send(text, place.value);
    } catch (error) {
      body.value = text;
      throw error;
    }
  }),
);
$('comment').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('composer').requestSubmit();
});
$('delegate').addEventListener(
  'click',
  act(() => onIssue('POST', 'delegate')),
);
$('undelegate').addEventListener(
  'click',
  act(() => onIssue('POST', 'undelegate')),
);
$('remove').addEventListener(
  'click',
  act(() => call('DELETE', `issues/${opened.reference}`).then(loadThread)),
);
$('issue-state').addEventListener(
  'change',
  act((event) => onIssue('PUT', 'state', { state: event.target.value })),
);
$('show-vanished').addEventListener('change', showTimeline);
$('deliveries').addEventListener('toggle', () => showDeliveriesSoon());
window.addEventListener('popstate', openFromAddress);
setInterval(showDeliveriesSoon, 2000);
start().catch(console.error);

/** The page: a list of issues, one of them open, and what people do with it. All data comes from /control. */
import { element, link, markdown } from './markdown.js';
import { reconcile, showThread, statusBadge } from './thread.js';

const LISTED = 300;
const $ = (id) => document.getElementById(id);

const issues = new Map();
let state = null;
let openIdentifier = null;
let thread = null;
let loadingThread = null;
let reloadThread = false;

/** Calls the control API. Shows what went wrong and throws. */
async function call(method, path, body) {
  const init = { method };
  if (method !== 'GET') {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body ?? {});
  }
  const answer = await fetch(`/control/${path}`, init).catch(() => null);
  const content = await answer?.json().catch(() => null);
  if (answer?.ok && content) {
    $('problem').hidden = true;
    return content;
  }
  const message = content?.error ?? 'The simulator does not answer. Is it still running?';
  $('problem').textContent = message;
  $('problem').hidden = false;
  throw new Error(message);
}

const onIssue = (method, path, body) => call(method, `issues/${openIdentifier}/${path}`, body).then(loadThread);

/** Runs something a person asked for; the message is already on the page when it fails. */
function act(work) {
  return (event) => {
    event?.preventDefault();
    Promise.resolve(work(event)).catch((error) => console.error(error));
  };
}

async function start() {
  state = await call('GET', 'state');
  for (const place of document.querySelectorAll('[data-agent]')) place.textContent = state.appUser.name;
  $('comment-hint').textContent = `Markdown. @${state.appUser.displayName} mentions the agent. Ctrl+Enter sends.`;
  await loadIssues();
  listen();
  openFromAddress();
}

async function loadIssues() {
  for (const issue of await call('GET', `issues?limit=${LISTED}`)) issues.set(issue.identifier, issue);
  showIssues();
}

function showIssues() {
  const newestFirst = [...issues.values()].sort((one, other) => other.createdAt.localeCompare(one.createdAt));
  const listed = newestFirst.slice(0, LISTED).map((issue) => ({
    key: issue.identifier,
    signature: JSON.stringify([issue.title, issue.state, issue.session, issue.delegated, isOpen(issue)]),
    render: () => issueItem(issue),
  }));
  reconcile($('issues'), listed);
  const hidden = Math.max(state.issueCount, issues.size) - listed.length;
  $('more-issues').hidden = hidden <= 0;
  $('more-issues').textContent = `and ${hidden} older`;
}

function isOpen(issue) {
  return issue.identifier === openIdentifier;
}

function issueItem(issue) {
  const anchor = element(
    'a',
    { href: new URL(issue.url).pathname, 'aria-current': isOpen(issue) ? 'page' : null },
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
  anchor.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, '', anchor.pathname);
    openFromAddress();
  });
  return element('li', {}, anchor);
}

/** /example/issue/ENG-1/the-title opens ENG-1; / opens nothing. */
function openFromAddress() {
  const [, , kind, identifier] = location.pathname.split('/');
  openIdentifier = kind === 'issue' && identifier ? decodeURIComponent(identifier).toUpperCase() : null;
  thread = null;
  $('timeline').replaceChildren();
  $('open-issue').hidden = true;
  $('nothing').hidden = openIdentifier !== null;
  $('composer').reset();
  document.title = openIdentifier ? `${openIdentifier} · Linear simulator` : 'Linear simulator';
  showIssues();
  if (openIdentifier) loadThread().then(() => $('issue').focus(), console.error);
}

/** One request at a time; a change that comes meanwhile leads to one more. */
async function loadThread() {
  if (loadingThread) {
    reloadThread = true;
    return loadingThread;
  }
  const wanted = openIdentifier;
  loadingThread = call('GET', `issues/${wanted}`);
  try {
    const loaded = await loadingThread;
    if (wanted === openIdentifier) {
      const first = thread === null;
      thread = loaded;
      showIssue(first);
    }
  } finally {
    loadingThread = null;
  }
  if (reloadThread || wanted !== openIdentifier) {
    reloadThread = false;
    if (openIdentifier) await loadThread();
  }
}

function showIssue(first) {
  const { issue, attachments, sessions } = thread;
  $('open-issue').hidden = false;
  $('issue-identifier').textContent = issue.identifier;
  $('issue-title').textContent = issue.title;
  $('issue-description').replaceChildren(markdown(issue.description ?? ''));
  $('issue-labels').replaceChildren(...issue.labels.map(({ name }) => element('span', { class: 'tag' }, name)));
  $('delegate').hidden = issue.delegated;
  $('undelegate').hidden = !issue.delegated;
  const team = state.teams.find((candidate) => candidate.key === issue.team);
  const names = team.states.map(({ name }) => element('option', { selected: name === issue.state.name }, name));
  if (document.activeElement !== $('issue-state')) $('issue-state').replaceChildren(...names);
  $('issue-attachments').hidden = attachments.length === 0;
  $('issue-attachments').replaceChildren(...attachments.map(({ url, title }) => element('li', {}, link(url, title))));

  const [reply, onTheIssue] = $('composer').elements.thread;
  reply.disabled = sessions.length === 0;
  if (sessions.length === 0) onTheIssue.checked = true;
  else if (first || !showIssue.hadSession) reply.checked = true;
  showIssue.hadSession = sessions.length > 0;
  showTimeline();
}

function showTimeline() {
  showThread($('timeline'), thread, {
    showVanished: $('show-vanished').checked,
    agentName: state.appUser.name,
    onStop: (sessionId) => act(() => onIssue('POST', 'stop', { sessionId }))(),
    onChoose: (sessionId, body) => act(() => onIssue('POST', 'comments', { body, thread: 'agent', sessionId }))(),
  });
}

/** The browser reconnects by itself; what was missed meanwhile is loaded anew. */
function listen() {
  const events = new EventSource('/control/events');
  let connected = false;
  events.addEventListener('ready', () => {
    $('connection').textContent = 'Live';
    $('connection').dataset.live = 'true';
    if (connected) loadIssues().then(() => openIdentifier && loadThread(), console.error);
    connected = true;
  });
  events.addEventListener('issues', (event) => {
    const changed = JSON.parse(event.data);
    for (const issue of changed) issues.set(issue.identifier, issue);
    showIssues();
    if (changed.some(isOpen)) loadThread().catch(console.error);
    showDeliveriesSoon();
  });
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
    const { title, description, assign } = $('new-issue').elements;
    const issue = await call('POST', 'issues', { title: title.value, description: description.value || null });
    if (assign.checked) await call('POST', `issues/${issue.identifier}/delegate`);
    $('new-issue').reset();
    history.pushState(null, '', new URL(issue.url).pathname);
    openFromAddress();
  }),
);
$('composer').addEventListener(
  'submit',
  act(async () => {
    const { body, thread: place } = $('composer').elements;
    const text = body.value;
    body.value = '';
    try {
      await onIssue('POST', 'comments', { body: text, thread: place.value });
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
$('issue-state').addEventListener(
  'change',
  act((event) => onIssue('PUT', 'state', { state: event.target.value })),
);
$('show-vanished').addEventListener('change', showTimeline);
$('deliveries').addEventListener('toggle', () => showDeliveriesSoon());
window.addEventListener('popstate', openFromAddress);
setInterval(showDeliveriesSoon, 2000);
start().catch(console.error);

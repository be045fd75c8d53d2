/** A thread on the screen: comments on the issue, and each agent session with its activities, as Linear shows them. */
import { element, link, markdown } from './markdown.js';

const STATUS = {
  pending: 'Waiting for the agent',
  active: 'Working',
  stopping: 'Stopping',
  awaitingInput: 'Needs your answer',
  complete: 'Done',
  error: 'Failed',
  stale: 'Stale',
};
const PLAN_MARK = { pending: '○', inProgress: '◐', completed: '●', canceled: '⊘' };
const STOPPABLE = new Set(['pending', 'active', 'stale']);

/** @returns {HTMLElement} what a session's state is, in a word */
export function statusBadge({ status, unresponsive }) {
  const silent = status === 'pending' && unresponsive;
  const label = silent ? 'Did not respond' : STATUS[status];
  return element('span', { class: `badge ${silent ? 'silent' : status}` }, label);
}

/**
 * Brings the timeline up to date, touching only what changed, so that reading, selecting and unfolding are not disturbed.
 * @param {HTMLElement} timeline
 * @param {object} thread as GET /control/issues/:issue gives it
 * @param {{ showVanished: boolean, agentName: string, onStop(sessionId: string): void, onChoose(sessionId: string, value: string): void }} view
 */
export function showThread(timeline, thread, view) {
  const comments = thread.comments
    .filter((comment) => comment.sessionId === null)
    .map((comment) => ({
      key: comment.id,
      at: comment.createdAt,
      signature: comment.body,
      render: () => commentCard(comment),
    }));
  const sessions = thread.sessions.map((session) => ({
    key: session.id,
    at: session.createdAt,
    signature: 'session',
    render: () => element('section', { class: 'card session', id: `agent-session-${session.id.slice(0, 8)}` }),
    update: (card) => showSession(card, session, thread, view),
  }));
  const items = [...comments, ...sessions].sort((one, other) => one.at.localeCompare(other.at));
  if (items.length === 0) {
    const text = `Nothing yet. Assign the issue to ${view.agentName}, or mention @${view.agentName.toLowerCase()} in a comment.`;
    items.push({ key: 'empty', signature: text, render: () => element('p', { class: 'empty' }, text) });
  }
  reconcile(timeline, items);
}

function showSession(card, session, thread, view) {
  card.setAttribute('aria-label', `Agent session, ${STATUS[session.status]}`);
  const opening = thread.comments.find((comment) => comment.id === session.commentId);
  const shown = session.activities.filter((activity) => activity.visible || view.showVanished);
  const answerable = session.status === 'awaitingInput' ? session.activities.at(-1) : null;
  reconcile(card, [
    {
      key: 'head',
      signature: JSON.stringify([session.status, session.unresponsive, session.summary, session.externalUrls]),
      render: () => sessionHead(session, view),
    },
    ...(session.plan?.length
      ? [{ key: 'plan', signature: JSON.stringify(session.plan), render: () => plan(session.plan) }]
      : []),
    ...(opening?.author
      ? [{ key: opening.id, signature: opening.body, render: () => message('prompt', opening.author, opening) }]
      : []),
    ...shown.map((activity) => ({
      key: activity.id,
      signature: `${activity.visible} ${activity === answerable}`,
      render: () => activityLine(activity, session, activity === answerable, view),
    })),
    ...(session.status === 'pending' && session.activities.length === 0
      ? [{ key: 'waiting', signature: '', render: () => element('p', { class: 'hint' }, 'No activity yet.') }]
      : []),
  ]);
}

function sessionHead(session, view) {
  const stop = element('button', { type: 'button', class: 'danger' }, 'Stop');
  stop.addEventListener('click', () => view.onStop(session.id));
  const links = session.externalUrls.map(({ label, url }) => element('li', {}, link(url, label)));
  return element(
    'header',
    { class: 'session-head' },
    element('span', { class: 'avatar agent', 'aria-hidden': 'true' }, view.agentName.slice(0, 1)),
    element('strong', {}, session.summary ?? `${view.agentName}'s session`),
    statusBadge(session),
    links.length > 0 ? element('ul', { class: 'links', 'aria-label': 'Links' }, ...links) : null,
    STOPPABLE.has(session.status) ? stop : null,
  );
}

function plan(steps) {
  const items = steps.map(({ content, status }) =>
    element('li', { class: status }, element('span', { 'aria-label': status }, PLAN_MARK[status]), ' ', content),
  );
  return element('ol', { class: 'plan', 'aria-label': 'Plan' }, ...items);
}

function activityLine(activity, session, answerable, view) {
  const { type, content, author } = activity;
  if (type === 'action') return actionLine(activity);
  if (type === 'thought') {
    return step(activity, element('div', { class: 'markdown' }, markdown(content.body)), 'Thought');
  }
  if (type === 'prompt' && activity.signal === 'stop') {
    return element('p', { class: 'step stop' }, `${author.name} pressed stop · `, time(activity));
  }
  const card = message(type, author, { body: content.body, createdAt: activity.createdAt });
  if (activity.signal === 'select') card.append(choices(activity, session, answerable, view));
  if (activity.signal === 'auth') {
    const { url, providerName } = activity.signalMetadata;
    card.append(element('p', {}, link(url, `Link your ${providerName ?? 'account'}`)));
  }
  return card;
}

function actionLine(activity) {
  const { action, parameter, result } = activity.content;
  const head = [element('strong', {}, action), ' ', element('code', {}, parameter)];
  if (!result) return step(activity, element('div', {}, ...head), 'Action');
  const body = element('div', { class: 'markdown' }, markdown(result));
  return step(activity, element('details', {}, element('summary', {}, ...head), body), 'Action');
}

function step(activity, body, kind) {
  const { ephemeral, visible } = activity;
  const mark = !ephemeral ? null : element('span', { class: 'tag' }, visible ? 'ephemeral' : 'vanished');
  return element(
    'div',
    { class: `step ${activity.type}${ephemeral ? ' ephemeral' : ''}${visible ? '' : ' vanished'}` },
    element('span', { class: 'kind' }, kind),
    body,
    mark,
    time(activity),
  );
}

const MESSAGE_KIND = { response: 'Response', elicitation: 'Question', error: 'Error', prompt: '', comment: '' };

function message(type, author, { body, createdAt }) {
  const name = author?.name ?? 'Linear';
  const who = author?.app ? 'agent' : 'person';
  return element(
    'div',
    { class: `message ${type} ${who}` },
    element(
      'div',
      { class: 'message-head' },
      element('span', { class: `avatar ${who}`, 'aria-hidden': 'true' }, name.slice(0, 1)),
      element('strong', {}, name),
      MESSAGE_KIND[type] ? element('span', { class: 'tag' }, MESSAGE_KIND[type]) : null,
      time({ createdAt }),
    ),
    element('div', { class: 'markdown' }, markdown(body)),
  );
}

function commentCard(comment) {
  return element('div', { class: 'card' }, message('comment', comment.author, comment));
}

/** The options of a question, and beside them room for an answer that is not one of them. */
function choices(activity, session, answerable, view) {
  const buttons = activity.signalMetadata.options.map(({ label, value }) => {
    const button = element('button', { type: 'button', disabled: !answerable }, label ?? value);
    button.addEventListener('click', () => view.onChoose(session.id, value));
    return button;
  });
  const options = element('div', { class: 'row', role: 'group', 'aria-label': 'Possible answers' }, ...buttons);
  return element('div', { class: 'choices' }, options, answerable ? ownAnswer(session, view) : null);
}

function ownAnswer(session, view) {
  const text = element('input', {
    'aria-label': 'Another answer',
    placeholder: 'Or in your own words',
    required: true,
  });
  const form = element('form', { class: 'row' }, text, element('button', { type: 'submit' }, 'Answer'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    view.onChoose(session.id, text.value);
  });
  return form;
}

function time({ createdAt }) {
  const date = new Date(createdAt);
  const shown = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return element('time', { datetime: createdAt, title: date.toLocaleString() }, shown);
}

/**
 * Makes the children of a container match a list, keeping each element whose signature is the same.
 * @param {HTMLElement} container
 * @param {{ key: string, signature: string, render(): HTMLElement, update?(element: HTMLElement): void }[]} items
 */
export function reconcile(container, items) {
  const present = new Map([...container.children].map((child) => [child.dataset.key, child]));
  let place = container.firstElementChild;
  for (const { key, signature, render, update } of items) {
    let child = present.get(key);
    if (child?.dataset.signature !== signature) {
      const fresh = render();
      fresh.dataset.key = key;
      fresh.dataset.signature = signature;
      if (child) {
        if (place === child) place = fresh;
        child.replaceWith(fresh);
      }
      child = fresh;
    }
    present.delete(key);
    if (child === place) place = place.nextElementSibling;
    else container.insertBefore(child, place);
    update?.(child);
  }
  for (const gone of present.values()) gone.remove();
}

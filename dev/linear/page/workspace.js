/** Which workspace the page shows, what is installed there, and what an admin does about it. */
import { act, call, callShared } from './control-client.js';
import { element } from './markdown.js';

const $ = (id) => document.getElementById(id);

/** Fills the choice of workspaces. */
export async function showWorkspaces(current) {
  const workspaces = await callShared('GET', 'workspaces');
  const options = workspaces.map(({ name, urlKey }) =>
    element('option', { value: urlKey, selected: urlKey === current.urlKey }, name),
  );
  $('workspace').replaceChildren(...options);
}

/** @param {object} state as GET /control/state gives it */
export function showApplication({ workspace, installed, person, appUser }) {
  const granted = installed ? `${installed.name} may: ${installed.scopes.join(', ')}.` : '';
  $('application-state').textContent = installed
    ? `${installed.name} is installed in ${workspace.name}. ${granted}`
    : `No application is installed in ${workspace.name}; ${appUser.name} hears nothing from it.`;
  $('uninstall').hidden = !installed;
  $('install').hidden = installed !== null;
  $('is-admin').checked = person.isAdmin;
  $('person-name').textContent = person.name;
}

$('workspace').addEventListener('change', (event) => location.assign(`/${event.target.value}`));
$('uninstall').addEventListener(
  'click',
  act(() => call('POST', 'uninstall')),
);
$('install').addEventListener(
  'click',
  act(() => call('POST', 'install')),
);
$('is-admin').addEventListener(
  'change',
  act((event) => call('PUT', 'admin', { isAdmin: event.target.checked })),
);

/** The control API as the page uses it. The first part of the page's address is the workspace; without one it is the first. */
const $ = (id) => document.getElementById(id);

/** @type {string} urlKey; empty: the first workspace */
export const workspaceKey = location.pathname.split('/')[1] ?? '';

/** @returns {string} the address of something of this workspace */
export function controlAddress(path) {
  return workspaceKey === '' ? `/control/${path}` : `/control/workspaces/${workspaceKey}/${path}`;
}

/** Calls the control API of the workspace. Shows what went wrong and throws. */
export function call(method, path, body) {
  return request(method, controlAddress(path), body);
}

/** The same for what belongs to no workspace, under /control/oauth. */
export function callShared(method, path, body) {
  return request(method, `/control/oauth/${path}`, body);
}

async function request(method, address, body) {
  const init = { method };
  if (method !== 'GET') {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body ?? {});
  }
  const answer = await fetch(address, init).catch(() => null);
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

/** Runs something a person asked for; the message is already on the page when it fails. */
export function act(work) {
  return (event) => {
    event?.preventDefault();
    Promise.resolve(work(event)).catch((error) => console.error(error));
  };
}

/** Stores files a person chose. @returns {Promise<string>} Markdown that shows them */
export async function storeFiles(files) {
  const lines = [];
  for (const file of files) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    let binary = '';
    for (const byte of bytes) binary += String.fromCharCode(byte);
    const contentType = file.type || 'application/octet-stream';
    const { url } = await call('POST', 'files', { filename: file.name, contentType, base64: btoa(binary) });
    lines.push(`${contentType.startsWith('image/') ? '!' : ''}[${file.name.replace(/[[\]]/g, '')}](${url})`);
  }
  return lines.join('\n');
}

/** The pages of OAuth: consent, and what went wrong. They run no script. */
import type { ServerResponse } from 'node:http';
import { Html, html } from '../../git/html.ts';
import type { AuthorizationRequest } from './authorization-request.ts';
import type { ConsentChoice } from './consent.ts';
import { SCOPES } from './model.ts';

/**
 * Answers with a page.
 * @param formTargets origins besides this one to which a form of the page may lead; browsers follow no redirect of a form elsewhere
 */
export function sendFormPage(
  response: ServerResponse,
  status: number,
  title: string,
  content: Html,
  formTargets: readonly string[] = [],
): void {
  const page = html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Linear simulator</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/page/base.css">
    <link rel="stylesheet" href="/page/form.css">
  </head>
  <body class="form-page">
    <main>
      <p class="where">Linear simulator</p>
      ${content}
    </main>
  </body>
</html>`;
  const policy = `default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'; form-action ${[
    "'self'",
    ...formTargets,
  ].join(' ')}`;
  response
    .writeHead(status, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
    .end(page.text);
}

/** What the person sees instead of being sent back to an application. */
export function problemContent(title: string, message: string): Html {
  return html`<h1>${title}</h1><p role="alert">${message}</p>`;
}

/**
 * The consent page.
 * @param query the request as it came; the form brings it back
 */
export function consentContent(request: AuthorizationRequest, choices: readonly ConsentChoice[], query: string): Html {
  const { application, scopes, actor } = request;
  const possible = choices.find(({ obstacle }) => obstacle === null);
  const subject =
    actor === 'app' ? `${application.name} will be able to` : `${application.name} will be able to, as you`;
  return html`<h1>${actor === 'app' ? 'Install' : 'Authorize'} ${application.name}?</h1>
      <p>${application.description ?? `By ${application.developer}.`}</p>
      <form method="post" action="/oauth/authorize">
        <input type="hidden" name="request" value="${query}">
        <fieldset>
          <legend>${actor === 'app' ? 'Workspace' : 'Who, in which workspace'}</legend>
          ${choices.map((choice) => workspaceChoices(choice, choice === possible, actor))}
        </fieldset>
        <h2>${subject}</h2>
        <ul>${scopes.map((scope) => html`<li>${SCOPES[scope]} <code>${scope}</code></li>`)}</ul>
        <div class="row">
          <button type="submit" class="primary" name="decision" value="allow"${possible ? null : disabled}>Allow</button>
          <button type="submit" name="decision" value="deny">Deny</button>
        </div>
      </form>
      <p class="hint">Either way you return to ${new URL(request.redirectUri).host}.</p>`;
}

const disabled = new Html(' disabled');

/** An application comes into a workspace; a person signs in there as one of its people. */
function workspaceChoices(choice: ConsentChoice, chosen: boolean, actor: 'user' | 'app'): Html {
  const { people, name, urlKey } = choice.workspace;
  if (actor === 'app' || people.length < 2) return workspaceChoice(choice, chosen, name, urlKey);
  return html`${people.map((person, index) =>
    workspaceChoice(choice, chosen && index === 0, `${person.name}, ${name}`, `${urlKey}/${person.displayName}`),
  )}`;
}

function workspaceChoice({ obstacle }: ConsentChoice, chosen: boolean, name: string, value: string): Html {
  const state = obstacle === null ? (chosen ? new Html(' checked') : null) : disabled;
  return html`<label class="check"><input type="radio" name="workspace" value="${value}"${state}> ${name}</label>
          ${obstacle === null ? null : html`<p class="hint">${obstacle}</p>`}`;
}

/** The codec server's one page: the login of an operator's browser. */

export type LoginState = 'ask' | 'wrong key' | 'logged in';

/** Plain HTML without a script. `uiUrl` is where a logged-in operator goes on. */
export function loginPage(state: LoginState, uiUrl: string | undefined): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Payload access · Drone Delivery</title>
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto; padding: 0 1rem; color: #1a2433; }
      label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
      input, button { margin-top: 0.5rem; padding: 0.6rem 0.75rem; border: 1px solid #8895a7; border-radius: 6px; }
      button, .go { background: #174ea6; color: #fff; border-color: #174ea6; cursor: pointer; }
      .go { display: inline-block; padding: 0.6rem 1rem; border-radius: 6px; text-decoration: none; }
      [role=alert] { color: #a61717; }
    </style>
  </head>
  <body>
    <h1>Payload access</h1>
${state === 'logged in' ? loggedIn(uiUrl) : form(state)}
  </body>
</html>
`;
}

function form(state: LoginState): string {
  return `    <p>Workflow payloads are encrypted. With the operator key, this browser may read them in the Temporal UI for twelve hours.</p>
${state === 'wrong key' ? '    <p role="alert">That is not the operator key.</p>\n' : ''}    <form method="post" action="/login">
      <label for="key">Operator key</label>
      <input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
      <button>Log in</button>
    </form>`;
}

function loggedIn(uiUrl: string | undefined): string {
  const link =
    uiUrl === undefined
      ? ''
      : `\n    <p><a class="go" href="${escapeHtml(uiUrl)}">Open the Temporal UI</a></p>`;
  return `    <p>This browser can now read workflow payloads in the Temporal UI.</p>${link}
    <form method="post" action="/logout"><button>Log out</button></form>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

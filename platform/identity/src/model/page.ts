/** The pages of the issuer: plain HTML, one style sheet, no script, nothing from elsewhere. */
export interface LoginView {
  readonly action: string;
  readonly user: string;
  readonly fault?: string;
}

export function loginPage({ action, user, fault }: LoginView): string {
  const describedBy = fault ? ' aria-describedby="fault" aria-invalid="true"' : '';
  return page(
    'Sign in',
    `<p class="lead">See how your buildings are doing.</p>
${fault ? `<p id="fault" class="fault" role="alert">${escapeHtml(fault)}</p>` : ''}
<form method="post" action="${escapeHtml(action)}">
<label for="user">User name</label>
<input id="user" name="user" type="text" value="${escapeHtml(user)}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="63" required${user ? '' : ' autofocus'}${describedBy}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required${user ? ' autofocus' : ''}${describedBy}>
<button type="submit">Sign in</button>
</form>`,
  );
}

/** `form` is the provider's own hidden form with the id `op.logoutForm`. */
export function logoutPage(form: string): string {
  return page(
    'Sign out',
    `<p class="lead">Do you want to sign out?</p>
${form}
<button type="submit" form="op.logoutForm" name="logout" value="yes" autofocus>Sign out</button>
<button type="submit" form="op.logoutForm" class="quiet">Stay signed in</button>`,
  );
}

export function messagePage(title: string, message: string): string {
  return page(title, `<p class="lead">${escapeHtml(message)}</p>`);
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · Domicile</title>
<link rel="icon" href="/assets/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/identity.css">
</head>
<body>
<main>
<img src="/assets/mark.svg" alt="" width="48" height="48">
<p class="name">Domicile</p>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

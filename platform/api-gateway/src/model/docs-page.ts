import { problemMeanings } from './api/problems.ts';
import { isObject, type Json, type JsonObject } from './openapi.ts';

/** The description as a page: no script, nothing from elsewhere, readable without a mouse. */
export function docsPage(document: JsonObject): string {
  const { info = {}, paths = {}, components = {}, tags = [] } = document;
  const operations = operationsIn(paths);
  const title = textIn(info, 'title');
  const names = (Array.isArray(tags) ? tags : []).map((tag) => textIn(tag, 'name'));
  const sections = names.map(
    (name) => `<section aria-labelledby="${slug(name)}">
<h2 id="${slug(name)}">${escapeHtml(name)}</h2>
${operations
  .filter((one) => one.tag === name)
  .map((one) => one.html)
  .join('\n')}
</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · API</title>
<link rel="stylesheet" href="/docs/docs.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>${escapeHtml(title)}</h1>
<p>${prose(textIn(info, 'description'))}</p>
<p><a href="/openapi.json">openapi.json</a></p>
</header>
<nav aria-label="Parts"><ul>${[...names, 'Problems', 'Schemas']
    .map((name) => `<li><a href="#${slug(name)}">${escapeHtml(name)}</a></li>`)
    .join('')}</ul></nav>
<main id="content">
${sections.join('\n')}
<section aria-labelledby="problems">
<h2 id="problems">Problems</h2>
<dl>${problems()}</dl>
</section>
<section aria-labelledby="schemas">
<h2 id="schemas">Schemas</h2>
${schemasIn(components)}
</section>
</main>
</body>
</html>
`;
}

interface Shown {
  readonly tag: string;
  readonly html: string;
}

function operationsIn(paths: Json): Shown[] {
  return entriesOf(paths).flatMap(([path, methods]) =>
    entriesOf(methods).map(([method, operation]) => ({
      tag: tagOf(operation),
      html: shown(method.toUpperCase(), path, operation),
    })),
  );
}

function tagOf(operation: Json): string {
  const tags = memberOf(operation, 'tags');
  const [first] = Array.isArray(tags) ? tags : [];
  return typeof first === 'string' ? first : '';
}

function shown(method: string, path: string, operation: Json): string {
  return `<details id="${escapeHtml(textIn(operation, 'operationId'))}">
<summary><span class="method ${method.toLowerCase()}">${method}</span> <code>${escapeHtml(path)}</code>
<span class="what">${escapeHtml(textIn(operation, 'summary'))}</span></summary>
<p>${prose(textIn(operation, 'description'))}</p>
${parametersOf(operation)}
${bodyOf(operation)}
${answersOf(operation)}
<h3>Try it</h3>
${code(curlOf(method, path, operation))}
</details>`;
}

function parametersOf(operation: Json): string {
  const parameters = memberOf(operation, 'parameters');
  if (!Array.isArray(parameters) || parameters.length === 0) return '';
  const rows = parameters.map(
    (one) => `<tr><th scope="row"><code>${escapeHtml(textIn(one, 'name'))}</code></th>
<td>${escapeHtml(textIn(one, 'in'))}${memberOf(one, 'required') === true ? ', required' : ''}</td>
<td>${typeOf(memberOf(one, 'schema'))}</td>
<td>${prose(textIn(one, 'description'))}</td></tr>`,
  );
  return `<h3>Parameters</h3>
<div class="wide" tabindex="0" role="region" aria-label="Parameters"><table>
<thead><tr><th scope="col">Name</th><th scope="col">Where</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${rows.join('')}</tbody></table></div>`;
}

function bodyOf(operation: Json): string {
  const schema = memberOf(operation, 'requestBody', 'content', 'application/json', 'schema');
  if (schema === undefined) return '';
  return `<h3>Body</h3>\n${code(JSON.stringify(schema, null, 2))}`;
}

function answersOf(operation: Json): string {
  const shownAnswers = entriesOf(memberOf(operation, 'responses')).flatMap(([status, response]) => {
    const content = entriesOf(memberOf(response, 'content'));
    if (content.length === 0) return [];
    const types = content.map(([type]) => `<code>${escapeHtml(type)}</code>`).join(', ');
    const json = memberOf(response, 'content', 'application/json');
    const example = memberOf(json, 'example');
    return [
      `<h3>${escapeHtml(status)}</h3>
<p>${types}${json === undefined ? '' : `: ${typeOf(memberOf(json, 'schema'))}`}</p>
${example === undefined ? '' : code(JSON.stringify(example, null, 2))}`,
    ];
  });
  const failures = entriesOf(memberOf(operation, 'responses'))
    .map(([status]) => status)
    .filter((status) => Number(status) >= 400);
  return `${shownAnswers.join('\n')}
<p>Problems: ${failures.join(', ')} (<a href="#schema-problem">problem</a>)</p>`;
}

function curlOf(method: string, path: string, operation: Json): string {
  const parameters = memberOf(operation, 'parameters');
  const given = (Array.isArray(parameters) ? parameters : []).flatMap((one) => {
    const example = memberOf(one, 'example');
    if (typeof example !== 'string') return [];
    return [{ name: textIn(one, 'name'), where: textIn(one, 'in'), example }];
  });
  const filled = given
    .filter(({ where }) => where === 'path')
    .reduce((text, { name, example }) => text.replace(`{${name}}`, example), path);
  const query = given
    .filter(({ where }) => where === 'query')
    .map(({ name, example }) => `${name}=${example}`)
    .join('&');
  const lines = [
    `curl -H "Authorization: Bearer $TOKEN"`,
    ...(method === 'POST'
      ? [`-H 'Content-Type: application/json' --data '{"set":{"setpoint":21.5}}'`]
      : []),
    `"$API${filled}${query === '' ? '' : `?${query}`}"`,
  ];
  return lines.join(' \\\n  ');
}

function schemasIn(components: Json): string {
  return entriesOf(memberOf(components, 'schemas'))
    .map(
      ([name, schema]) => `<details id="schema-${slug(name)}">
<summary><code>${escapeHtml(name)}</code> <span class="what">${escapeHtml(textIn(schema, 'description'))}</span></summary>
${code(JSON.stringify(schema, null, 2))}
</details>`,
    )
    .join('\n');
}

function problems(): string {
  return Object.entries(problemMeanings)
    .map(
      ([name, meaning]) =>
        `<dt id="problem-${slug(name)}"><code>${escapeHtml(name)}</code></dt>\n<dd>${prose(meaning)}</dd>`,
    )
    .join('\n');
}

function typeOf(schema: Json | undefined): string {
  const reference = textIn(schema, '$ref');
  const name = reference.split('/').at(-1) ?? '';
  if (name !== '') return `<a href="#schema-${slug(name)}">${escapeHtml(name)}</a>`;
  const choices = memberOf(schema, 'enum');
  if (Array.isArray(choices))
    return choices.map((choice) => `<code>${escapeHtml(String(choice))}</code>`).join(' ');
  return escapeHtml([textIn(schema, 'type'), textIn(schema, 'format')].filter(Boolean).join(', '));
}

function code(text: string): string {
  return `<pre tabindex="0"><code>${escapeHtml(text)}</code></pre>`;
}

/** Plain text with `code` in it. */
function prose(text: string): string {
  return escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function memberOf(value: Json | undefined, ...names: readonly string[]): Json | undefined {
  return names.reduce<Json | undefined>(
    (inner, name) => (isObject(inner) ? inner[name] : undefined),
    value,
  );
}

function textIn(value: Json | undefined, name: string): string {
  const member = memberOf(value, name);
  return typeof member === 'string' ? member : '';
}

function entriesOf(value: Json | undefined): [string, Json][] {
  return isObject(value) ? Object.entries(value) : [];
}

function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

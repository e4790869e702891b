import { createHash } from 'node:crypto';
import type { StatusReport } from '../model/status-report.ts';
import { type StatusLine, statusSummary } from '../model/status-text.ts';

const devicesMax = 500;

const style = `
:root{color-scheme:light dark;--ground:#f6f7f8;--sheet:#fff;--ink:#1c2227;--quiet:#5b6670;--line:#dde2e6;--good:#1a7f4b;--warn:#9a5b00;--bad:#b42318}
@media (prefers-color-scheme:dark){:root{--ground:#14181b;--sheet:#1c2226;--ink:#e8ecef;--quiet:#9aa6b0;--line:#313a41;--good:#4cc38a;--warn:#f0b03e;--bad:#ff8a7a}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;justify-content:space-between}
h1{font-size:1.4rem;margin:0}
h2{font-size:1rem;margin:2rem 0 .5rem}
p{margin:0;color:var(--quiet)}
dl,table{width:100%;background:var(--sheet);border:1px solid var(--line);border-radius:.5rem;margin:1rem 0 0;border-spacing:0}
dl>div{display:grid;grid-template-columns:9rem 1fr;gap:0 1rem;padding:.6rem 1rem}
dl>div+div,tr+tr>*{border-top:1px solid var(--line)}
dt,th{color:var(--quiet);font-weight:400;text-align:left}
dd{margin:0;overflow-wrap:anywhere}
table{margin-top:0}
th,td{padding:.4rem 1rem;vertical-align:top;overflow-wrap:anywhere}
th{width:14rem;white-space:nowrap}
.good::before,.warn::before,.bad::before{content:"";display:inline-block;width:.6rem;height:.6rem;border-radius:50%;margin-right:.5rem;background:currentColor}
.good::before{color:var(--good)}.warn::before{color:var(--warn)}.bad::before{color:var(--bad)}
.warn{color:var(--warn)}.bad{color:var(--bad)}
footer{margin-top:2rem;font-size:.875rem;color:var(--quiet)}
a{color:inherit}
@media (max-width:36rem){dl>div{grid-template-columns:1fr}th,td{display:block;width:auto;padding:.1rem 1rem}th{padding-top:.5rem}td{padding-bottom:.5rem}tr+tr>td{border-top:0}}
`;

/** Fetches the page again and takes over what is in it; says so when nothing comes. */
const script = `
const refreshMs=3000;
async function refresh(){
  try{
    const answer=await fetch(location.pathname,{signal:AbortSignal.timeout(refreshMs)});
    const next=new DOMParser().parseFromString(await answer.text(),'text/html').querySelector('main');
    if(!answer.ok||!next)throw new Error();
    document.querySelector('main').replaceWith(next);
  }catch{
    document.querySelector('#fresh').textContent='The agent does not answer; what stands here is old.';
    document.querySelector('#fresh').className='bad';
  }
  setTimeout(refresh,refreshMs);
}
setTimeout(refresh,refreshMs);
`;

/** What the page may load: its own style and script, and itself again. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src '${hashOf(style)}'`,
  `script-src '${hashOf(script)}'`,
  "connect-src 'self'",
  'img-src data:',
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** The status page of a gateway: HTML, whole in itself. It holds ids, times and counts, and no readings. */
export function statusPage(report: StatusReport): string {
  const { title, program, lines, devices, errors } = statusSummary(report);
  const rest = devices.length - devicesMax;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<header><h1>${escaped(title)}</h1><p>${escaped(program)}</p></header>
<dl aria-label="State">
${lines.map(termOf).join('\n')}
</dl>
${tableOf('Devices', devices.slice(0, devicesMax))}
${rest > 0 ? `<p>… and ${rest} more: domicile-gateway status --json</p>` : ''}
${tableOf('Last errors', errors)}
<footer><span id="fresh" role="status">As of ${escaped(report.at.slice(0, 19).replace('T', ' '))} UTC.</span>
<a href="status">JSON</a> · <a href="metrics">Metrics</a></footer>
</main>
<script>${script}</script>
</body>
</html>
`;
}

function termOf({ label, text, tone }: StatusLine): string {
  return `<div><dt>${escaped(label)}</dt><dd class="${tone}">${escaped(text)}</dd></div>`;
}

function tableOf(title: string, lines: readonly StatusLine[]): string {
  if (lines.length === 0) return '';
  const rows = lines.map(
    ({ label, text, tone }) =>
      `<tr><th scope="row">${escaped(label)}</th><td class="${tone}">${escaped(text)}</td></tr>`,
  );
  const id = title.toLowerCase().replaceAll(' ', '-');
  return `<h2 id="${id}">${title}</h2>
<table aria-labelledby="${id}"><tbody>
${rows.join('\n')}
</tbody></table>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
}

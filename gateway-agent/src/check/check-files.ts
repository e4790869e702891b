import { X509Certificate } from 'node:crypto';
import { access, constants, mkdir, readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AgentConfig } from '../config.ts';
import { belongTogether, certificateInfo } from '../enrolment/certificate-files.ts';
import { enrolmentPlan, gatewayUrn } from '../enrolment/enrol.ts';
import { bytesText, durationText } from '../model/amount-text.ts';
import { certificateState } from '../model/renewal.ts';
import { fail, type Finding, ok, reasonOf, warn } from './finding.ts';

/** The data directory, and whether the disk has room for what the store may take. */
export async function checkData({ dataDirectory, store }: AgentConfig): Promise<Finding[]> {
  try {
    await mkdir(dataDirectory, { recursive: true });
    await access(dataDirectory, constants.R_OK | constants.W_OK);
  } catch (error) {
    return [
      fail(
        'data',
        `${dataDirectory} cannot be written: ${reasonOf(error)}`,
        'give it to the user that runs the agent, or name another dataDirectory',
      ),
    ];
  }
  const { bavail, bsize } = await statfs(dataDirectory);
  const freeBytes = bavail * bsize;
  const text = `${bytesText(freeBytes)} free on the disk of ${dataDirectory}`;
  if (freeBytes < store.freeBytesMin)
    return [fail('disk', `${text}: the store refuses devices`, 'free space on this disk')];
  if (freeBytes < store.freeBytesMin + store.bytesMax / 10)
    return [
      warn(
        'disk',
        `${text}, and the store may take ${bytesText(store.bytesMax)}`,
        'free space, or lower store.bytesMax',
      ),
    ];
  return [ok('disk', text)];
}

/** Files that the configuration names, beside those of the uplink. */
export async function checkNamedFiles({ drivers }: AgentConfig): Promise<Finding[]> {
  const files = namedFiles(drivers, 'drivers');
  const findings: Finding[] = [];
  for (const { name, path } of files) {
    const error = await access(path, constants.R_OK).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    findings.push(
      error === undefined
        ? ok(name, path)
        : fail(
            name,
            reasonOf(error),
            'put the file there, readable by the user that runs the agent',
          ),
    );
  }
  return findings;
}

function namedFiles(value: unknown, name: string): { name: string; path: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const here = `${name}.${key}`;
    if (key.endsWith('File') && typeof inner === 'string') return [{ name: here, path: inner }];
    return namedFiles(inner, here);
  });
}

/** The credentials of the uplink: what is there, whether it fits, how long it lasts. */
export async function checkCredentials(config: AgentConfig, nowMs: number): Promise<Finding[]> {
  const { uplink } = config;
  const findings: Finding[] = [];
  if (uplink.url.startsWith('mqtts:') && uplink.caFile === undefined)
    findings.push(
      warn(
        'authority',
        'uplink.caFile is not set: public authorities are believed',
        "name the cell's",
      ),
    );
  if (uplink.caFile !== undefined) findings.push(await authorityFinding(uplink.caFile, nowMs));
  if (uplink.certFile !== undefined) findings.push(...(await certificateFindings(config, nowMs)));
  if (uplink.passwordFile !== undefined)
    findings.push(await secretFinding('password', uplink.passwordFile));
  if (uplink.certFile === undefined && uplink.passwordFile === undefined)
    findings.push(
      warn(
        'credentials',
        'neither a certificate nor a password is set: a cell refuses this gateway',
        'set uplink.certFile and uplink.keyFile, with uplink.enrolment to get them',
      ),
    );
  return findings;
}

async function authorityFinding(caFile: string, nowMs: number): Promise<Finding> {
  try {
    const { untilMs, issuer } = certificateInfo(await readFile(caFile));
    if (untilMs <= nowMs)
      return fail('authority', `${caFile} has ended`, 'get the new one of the cell');
    return ok('authority', `${issuer}, ${durationText(untilMs - nowMs)} left`);
  } catch (error) {
    return fail(
      'authority',
      `${caFile}: ${reasonOf(error)}`,
      'copy the certificate of the cell’s authority there, PEM',
    );
  }
}

async function certificateFindings(config: AgentConfig, nowMs: number): Promise<Finding[]> {
  const { uplink } = config;
  const { certFile = '', keyFile = '', caFile } = uplink;
  const plan = enrolmentPlan(uplink);
  const pem = await readFile(certFile, 'utf8').catch(() => undefined);
  if (pem === undefined) return [await missingFinding(config)];
  try {
    const info = certificateInfo(pem);
    const findings = [expiryFinding(info, { nowMs, renews: plan !== undefined })];
    const urn = gatewayUrn(uplink);
    if (!info.uris.includes(urn))
      findings.push(
        fail(
          'certificate',
          `it is for ${info.uris.join(', ') || 'nobody'}, and this is ${urn}`,
          'correct building and gateway, or move the file away and enrol anew',
        ),
      );
    const key = await readFile(keyFile, 'utf8');
    if (!belongTogether(pem, key))
      findings.push(
        fail('key', `${keyFile} is not of ${certFile}`, 'enrol anew, or put the right pair there'),
      );
    else findings.push(await secretFinding('key', keyFile));
    if (caFile !== undefined) findings.push(...(await chainFinding(pem, caFile)));
    return findings;
  } catch (error) {
    return [fail('certificate', reasonOf(error), 'put a readable pair there, or enrol anew')];
  }
}

async function missingFinding({ uplink }: AgentConfig): Promise<Finding> {
  const { certFile = '', enrolment } = uplink;
  if (!enrolment)
    return fail(
      'certificate',
      `there is none in ${certFile}`,
      'put it there, or set uplink.enrolment',
    );
  const token = await readFile(enrolment.tokenFile, 'utf8').catch(() => '');
  if (token.trim() === '')
    return fail(
      'certificate',
      `there is none yet, and no enrolment token in ${enrolment.tokenFile}`,
      'put the token of the building there; whoever runs the cell has it',
    );
  return warn(
    'certificate',
    'there is none yet; the agent enrols by the token when it starts',
    'or do it now: domicile-gateway enrol',
  );
}

function expiryFinding(
  info: { fromMs: number; untilMs: number },
  { nowMs, renews }: { nowMs: number; renews: boolean },
): Finding {
  const { fromMs, untilMs } = info;
  const days = Math.floor((untilMs - nowMs) / 86_400_000);
  const left = `${days > 1 ? `${days} days` : durationText(untilMs - nowMs)} left`;
  const state = certificateState(info, nowMs);
  if (nowMs < fromMs)
    return fail(
      'certificate',
      'it is not valid yet',
      'the clock of this gateway is behind: set it',
    );
  if (state === 'ended')
    return fail(
      'certificate',
      `it ended ${durationText(nowMs - untilMs)} ago`,
      renews ? 'put a new enrolment token in uplink.enrolment.tokenFile' : 'put a new one there',
    );
  if (state === 'late' || (state === 'due' && !renews))
    return warn(
      'certificate',
      `${left}, and it is not renewed`,
      renews ? 'see Enrolment in `domicile-gateway status` for why' : 'put a new one there in time',
    );
  return ok('certificate', `${left}${renews ? ', renewed by itself' : ''}`);
}

async function secretFinding(what: string, file: string): Promise<Finding> {
  try {
    const { mode } = await stat(file);
    const text = await readFile(file, 'utf8');
    if (text.trim() === '') return fail(what, `${file} is empty`, 'put the secret there');
    if ((mode & 0o077) !== 0) return warn(what, `others may read ${file}`, `chmod 600 ${file}`);
    return ok(what, `${file}, for its owner alone`);
  } catch (error) {
    return fail(
      what,
      reasonOf(error),
      `put it in ${file}, readable by the user that runs the agent`,
    );
  }
}

async function chainFinding(pem: string, caFile: string): Promise<Finding[]> {
  const ca = new X509Certificate(await readFile(caFile));
  const certificate = new X509Certificate(pem);
  if (certificate.checkIssued(ca) && certificate.verify(ca.publicKey)) return [];
  return [
    warn(
      'certificate',
      `it is of another authority than ${caFile}`,
      `right only if the cell has two authorities; else see ${dirname(caFile)}`,
    ),
  ];
}

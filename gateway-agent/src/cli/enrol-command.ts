import { PlatformError } from '@domicile/core/errors.ts';
import { readCommandConfig } from '../config.ts';
import { renewalAtMs } from '../model/renewal.ts';
import { type Command, exitCodes } from './command.ts';

export const enrolCommand: Command = {
  name: 'enrol',
  summary: 'Get a certificate from the cell by the enrolment token, or renew the one that is there',
  operands: '[file]',
  operandsMax: 1,
  options: {
    force: { type: 'boolean', meaning: 'renew although the certificate is good for long' },
  },
  more: `The agent does this by itself at its first start and in time; this is to try it, and to
do it before. It writes uplink.certFile and uplink.keyFile. A running agent takes them
up at its next connection.`,
  run: async (given, terminal) => {
    const { readCertificate } = await import('../enrolment/certificate-files.ts');
    const { enrol, enrolmentPlan } = await import('../enrolment/enrol.ts');
    const { uplink } = await readCommandConfig(given.files[0]);
    const plan = enrolmentPlan(uplink);
    if (!plan)
      throw new PlatformError(
        'CONFIG_INVALID',
        'Cannot enrol: the configuration has no uplink.enrolment; see docs/operations/gateway.md',
      );
    const present = await readCertificate(plan.certFile).catch(() => undefined);
    if (present && renewalAtMs(present, 0.5) > Date.now() && !given.flag('force')) {
      terminal.out(
        `The certificate is good until ${timeOf(present.untilMs)}; --force renews it now\n`,
      );
      return exitCodes.done;
    }
    try {
      const { kind, certificate } = await enrol(plan, Date.now(), terminal.stop);
      const how = kind === 'first' ? 'Enrolled' : 'Renewed';
      terminal.out(`${how}: ${plan.certFile} is good until ${timeOf(certificate.untilMs)}\n`);
      return exitCodes.done;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      terminal.err(`${error.message}\n`);
      return exitCodes.failed;
    }
  },
};

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

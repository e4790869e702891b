/** What is known of one concern, with what to do next. */
export interface Finding {
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, stable. */
  readonly reason: string;
  readonly message: string;
}

export interface BuildingFindings {
  readonly residency: Finding;
  readonly registered: Finding;
  readonly enrolled: Finding;
  /** Of a building that is being taken out. */
  readonly erased?: Finding;
}

export interface TypedFinding extends Finding {
  readonly type: string;
}

const waiting = (on: string): Finding => ({
  status: 'Unknown',
  reason: 'NotLookedAt',
  message: `Waits for ${on}`,
});

/** Where it ends, nothing behind it was looked at. */
export function findingsUntil(found: Partial<BuildingFindings>): BuildingFindings {
  return {
    residency: found.residency ?? waiting('the cell'),
    registered: found.registered ?? waiting('its residency to be verified'),
    enrolled: found.enrolled ?? waiting('its registration'),
    ...(found.erased && { erased: found.erased }),
  };
}

/** The conditions of a building. `Ready` repeats the concern that is in the way. */
export function conditionsOf(findings: BuildingFindings): TypedFinding[] {
  const { residency, registered, enrolled, erased } = findings;
  const concerns = [residency, registered, enrolled];
  const obstacle =
    concerns.find(({ status }) => status === 'False') ??
    concerns.find(({ status }) => status !== 'True');
  const ready: Finding =
    erased !== undefined
      ? {
          status: 'False',
          reason: 'BeingTakenOut',
          message: `It is being taken out, and what is declared meanwhile goes with it: declare it again (helm upgrade) when it is gone. ${erased.message}`,
        }
      : obstacle
        ? { ...obstacle, status: 'False' }
        : {
            status: 'True',
            reason: 'Onboarded',
            message: 'Its gateway may connect, and its readings are taken in',
          };
  return [
    { type: 'Ready', ...ready },
    { type: 'ResidencyVerified', ...residency },
    { type: 'Registered', ...registered },
    { type: 'Enrolled', ...enrolled },
    ...(erased ? [{ type: 'Erased', ...erased }] : []),
  ];
}

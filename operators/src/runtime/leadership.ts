/** Whether this process may have effects. Ask right before each one: a process that was paused learns of it only here. */
export interface Leadership {
  readonly stillLeads: () => boolean;
  /** Throws `FENCED` if another process may lead by now. */
  readonly assert: (doing: string) => void;
}

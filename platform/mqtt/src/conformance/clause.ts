/** What a server must do, in our words, by the standard's number. Each has a test of the kit. */
export type Clauses = Readonly<Record<string, string>>;

/** A statement that no test of the kit can show, and why. */
export interface Otherwise {
  readonly says: string;
  readonly because:
    | 'It binds clients.'
    | 'Not served: enhanced authentication is refused.'
    | 'Nothing to show: every QoS and retained messages are served.'
    | { readonly file: string; readonly test: string };
}

export type Otherwises = Readonly<Record<string, Otherwise>>;

const shownMax = 12;
/** More differ too much to be meant. */
const editsMax = 2;

/** `; did you mean floors? There are: client, floors, …`: what may stand there instead of a name. */
export function alikeTold(name: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const near = names
    .map((one) => ({ one, edits: editsBetween(name.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, edits }) => edits <= Math.min(editsMax, Math.floor(one.length / 2)))
    .toSorted((a, b) => a.edits - b.edits)[0];
  const shown = names.toSorted().slice(0, shownMax).join(', ');
  const all = names.length > shownMax ? `${shown} and ${names.length - shownMax} more` : shown;
  return near ? `; did you mean ${near.one}? There are: ${all}` : `; there are: ${all}`;
}

/** Letters put in, taken out or exchanged (Levenshtein). */
function editsBetween(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [row, letter] of a.split('').entries()) {
    const now = [row + 1];
    for (const [at, other] of b.split('').entries())
      now.push(
        Math.min(
          (now[at] ?? 0) + 1,
          (before[at + 1] ?? 0) + 1,
          (before[at] ?? 0) + (letter === other ? 0 : 1),
        ),
      );
    before = now;
  }
  return before[b.length] ?? 0;
}

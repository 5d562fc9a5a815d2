/** How much a member may subscribe to by name: all of it is stored, and looked up. */

/** Topics that one member may name. */
const TOPICS_MAX = 10_000;
/** Length of these names together. */
const CHARACTERS_MAX = 256 * 1024;

export const TOO_MANY_TOPICS = `A member may name ${TOPICS_MAX} topics at most.`;

export function areTooMany(names: readonly string[] | null): boolean {
  if (names === null) return false;
  let characters = 0;
  for (const { length } of names) characters += length;
  return names.length > TOPICS_MAX || characters > CHARACTERS_MAX;
}

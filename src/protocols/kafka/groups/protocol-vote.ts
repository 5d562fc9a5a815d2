/** Which assignor a group uses: each member has one vote (K60). Pure. */
import type { Member } from './member.ts';

/**
 * The protocol that most members like best, of those that all can speak. A member votes for the
 * first of its list that qualifies. Null when no protocol is shared.
 */
export function winningProtocol(members: readonly Member[]): string | null {
  const votes = new Map<string, number>();
  for (const member of members) {
    const choice = member.protocols.find(({ name }) => members.every((one) => one.supports(name)));
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
  }
  let winner: string | null = null;
  for (const [name, count] of votes) {
    if (winner === null || count > votes.get(winner)!) winner = name;
  }
  return winner;
}

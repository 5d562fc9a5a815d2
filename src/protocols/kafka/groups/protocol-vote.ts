/** Which assignor a classic group uses: each member has one vote (K60). Pure. */
import type { GroupProtocol } from './member.ts';

interface Voter {
  readonly protocols: readonly GroupProtocol[];
}

/**
 * The protocol that most members like best, of those that all can speak. A member votes for the
 * first of its list that qualifies. Null when no protocol is shared.
 */
export function winningProtocol(members: readonly Voter[]): string | null {
  const votes = new Map<string, number>();
  for (const member of members) {
    const choice = member.protocols.find(({ name }) =>
      members.every(({ protocols }) => protocols.some((one) => one.name === name)),
    );
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
  }
  let winner: string | null = null;
  for (const [name, count] of votes) {
    if (winner === null || count > votes.get(winner)!) winner = name;
  }
  return winner;
}

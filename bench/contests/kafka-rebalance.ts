/** How long does a group of a thousand members take to form, and to settle when one leaves? */

import type { Contest, Measured } from '../contest.ts';
import { ClassicGroup, ClassicMember } from '../load/kafka-classic-group.ts';
import { deleteTopic } from '../load/kafka-client.ts';
import { ConsumerGroup, ConsumerMember } from '../load/kafka-consumer-group.ts';
import { findCoordinator, type Member, type Settling, settled } from '../load/kafka-group.ts';
import { createTopic } from '../load/kafka-topics.ts';
import { kafkaWithDelay } from '../peers/kafka-settings.ts';
import { ours } from '../peers/ours.ts';

const MEMBERS = 1_000;
const AT_ONCE = 50;
/** A member may be told all members or all partitions; memory that is not used is not taken. */
const READ_BYTES = 1 << 20;

export const contest: Contest = {
  name: 'kafka-rebalance',
  title: 'A consumer group of 1 000 members on 1 000 partitions',
  explained:
    'Every member has a connection and sends a heartbeat each 100 ms. Time from the first request ' +
    'until every member has its partitions: when all join at once, and when one of them leaves. In ' +
    'the classic protocol all members stop and join again, in the consumer protocol (KIP-848) only ' +
    'those that win or lose something are told. Both brokers wait 100 ms for more members of an ' +
    'empty classic group.',
  wire: 'kafka',
  staysUp: true,
  pairs: [[ours, kafkaWithDelay]],

  async measure({ name, share, start }): Promise<Measured[]> {
    const { port } = await start();
    const members = Math.max(10, Math.round(MEMBERS * share));
    await createTopic(port, { topic: name, partitions: members });
    const classic = new ClassicGroup(`${name}-classic`, name);
    const consumer = new ConsumerGroup(`${name}-consumer`, name, members);
    const results = [
      ...(await rebalances('classic', port, members, classic, (bytes) =>
        ClassicMember.open(port, classic, bytes),
      )),
      ...(await rebalances('consumer', port, members, consumer, (bytes) =>
        ConsumerMember.open(port, consumer, bytes),
      )),
    ];
    await deleteTopic(port, name);
    return results;
  },
};

async function rebalances(
  protocol: string,
  port: number,
  count: number,
  group: Settling & { readonly name: string },
  open: (readBytes: number) => Promise<Member>,
): Promise<Measured[]> {
  await findCoordinator(port, group.name);
  const members: Member[] = [];
  while (members.length < count) {
    const some = Math.min(AT_ONCE, count - members.length);
    members.push(...(await Promise.all(Array.from({ length: some }, () => open(READ_BYTES)))));
  }
  group.expected = count;
  const formed = await settled(group, members, () => {
    for (const member of members) member.beat();
  });
  group.expected = count - 1;
  const gone = await settled(group, members, () => members.at(-1)!.leave());
  await Promise.all(members.map((member) => member.close()));
  return [
    { what: `${protocol} protocol: all join`, value: formed, unit: 'ms' },
    { what: `${protocol} protocol: one leaves`, value: gone, unit: 'ms' },
  ];
}

/** What a run does with a share group (KIP-932) beside its members: settings, and audits. */
import { incrementalAlterConfigs } from '../../../src/protocols/kafka/messages/44-incremental-alter-configs.ts';
import { describeShareGroupOffsets } from '../../../src/protocols/kafka/messages/90-describe-share-group-offsets.ts';
import { Actor, Lost } from '../actor.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { KafkaLink } from './kafka-link.ts';

/** The topic that the group reads: producers of all protocols write to it. */
export const SHARED = { stream: 'events', partitions: [0, 1, 2] } as const;
const GROUP = 32;

/** A group begins with the oldest record. */
export class ShareMaker extends Actor {
  protected readonly listener = 'kafka';

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    const reset = { name: 'share.auto.offset.reset', configOperation: 0, value: 'earliest' };
    const resource = { resourceType: GROUP, resourceName: this.world.shares.group };
    const asked = { resources: [{ ...resource, configs: [reset] }], validateOnly: false };
    const { responses } = await link.ask(incrementalAlterConfigs, 1, asked);
    const { errorCode } = responses[0]!;
    if (errorCode !== 0) throw new Lost(`IncrementalAlterConfigs: error ${errorCode}`);
    this.done = true;
  }
}

/** Compares where the server says that the group is with what its members know. */
export async function auditShares(link: KafkaLink, { shares, ledger }: World): Promise<void> {
  if (!shares.hasBegun) return;
  const topics = [{ topicName: SHARED.stream, partitions: [...SHARED.partitions] }];
  const asked = { groups: [{ groupId: shares.group, topics }] };
  const askedMs = ledger.nowMs;
  const { groups } = await link.ask(describeShareGroupOffsets, 1, asked);
  const { errorCode, topics: told } = groups[0]!;
  if (errorCode !== 0) ledger.fail(`the share group ${shares.group} is lost: ${errorCode}`);
  for (const { partitionIndex, startOffset, errorCode: code } of told[0]!.partitions) {
    const name = `${SHARED.stream}/${partitionIndex}`;
    if (code !== 0) throw new Lost(`DescribeShareGroupOffsets: error ${code}`);
    if (startOffset < 0) ledger.fail(`${shares.group} has no place in ${name} any more`);
    shares.audit(name, startOffset, ledger.offsetsSeen(name), askedMs);
  }
}

/** Topics of many partitions: made, waited for, and taken away again. */

import { ByteWriter } from './bytes.ts';
import { Client, CREATE_TOPICS, request } from './kafka-client.ts';
import { sleep } from './pump.ts';
import { Signal } from './wire.ts';

const CREATE_VERSION = 4;
const LIST_OFFSETS = 2;
const LIST_OFFSETS_VERSION = 2;
const CREATE_TIMEOUT_MS = 60_000;
const PROBE_MS = 10;
const ALTER_CONFIGS = 44;
/** Resource type and operation of that request. */
const GROUP_RESOURCE = 32;
const SET = 0;

export interface NewTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly configs?: Readonly<Record<string, string>>;
}

/** Until every partition answers where it ends. */
export async function createTopic(port: number, spec: NewTopic): Promise<void> {
  const { topic, partitions, configs = {} } = spec;
  const body = new ByteWriter().i32(1).text16(topic).i32(partitions).i16(1).i32(0);
  body.i32(Object.keys(configs).length);
  for (const [name, value] of Object.entries(configs)) body.text16(name).text16(value);
  const client = await Client.open(port);
  const asked = request(CREATE_TOPICS, CREATE_VERSION, body.i32(CREATE_TIMEOUT_MS).u8(0).done());
  const error = await client.ask(asked, 4 + 4 + 4 + 4 + 2 + topic.length);
  if (error !== 0) throw new Error(`CreateTopics answered error ${error}`);
  await untilReady(client, [spec]);
  await client.wire.close();
}

/** Asks for the end of every partition until none answers an error. */
export async function untilReady(client: Client, topics: readonly NewTopic[]): Promise<void> {
  const body = new ByteWriter().i32(-1).u8(0).i32(topics.length);
  for (const { topic, partitions } of topics) {
    body.text16(topic).i32(partitions);
    for (let n = 0; n < partitions; n++) body.i32(n).i64(-1);
  }
  const asked = request(LIST_OFFSETS, LIST_OFFSETS_VERSION, body.done());
  for (;;) {
    const answer = new Signal<number>();
    client.onAnswer = (bytes, start) => answer.fire(errorsIn(bytes, start + 4 + 4 + 4));
    client.wire.send(asked);
    if ((await answer.promise) === 0) break;
    await sleep(PROBE_MS);
  }
  client.onAnswer = undefined;
}

/** How many partitions of a ListOffsets answer, from its topics on, have an error. */
function errorsIn(bytes: Buffer, from: number): number {
  let at = from + 4;
  let errors = 0;
  for (let topics = bytes.readInt32BE(from); topics > 0; topics--) {
    at += 2 + bytes.readInt16BE(at);
    const partitions = bytes.readInt32BE(at);
    at += 4;
    for (let n = 0; n < partitions; n++, at += 4 + 2 + 8 + 8) {
      if (bytes.readInt16BE(at + 4) !== 0) errors++;
    }
  }
  return errors;
}

/** IncrementalAlterConfigs of one group: sets one value. */
export async function setGroupConfig(
  port: number,
  group: string,
  name: string,
  value: string,
): Promise<void> {
  const body = new ByteWriter().i32(1).u8(GROUP_RESOURCE).text16(group).i32(1);
  const asked = body.text16(name).u8(SET).text16(value).u8(0).done();
  const client = await Client.open(port);
  const error = await client.ask(request(ALTER_CONFIGS, 0, asked), 4 + 4 + 4 + 4);
  if (error !== 0) throw new Error(`IncrementalAlterConfigs answered error ${error}`);
  await client.wire.close();
}

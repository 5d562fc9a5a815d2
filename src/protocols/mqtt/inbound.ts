/**
 * Acknowledgements for what one connection publishes: given when the broker has the message on
 * disk, in the order of the messages [MQTT-4.6.0-2] [MQTT-4.6.0-3].
 */
import type { PublishSink } from '#broker';
import type { BrokerError } from '#kit';
import { AckLine } from './ack-line.ts';
import { encodeAck, NO_PROPERTIES, PUBACK, PUBREC } from './codec/index.ts';
import type { Link } from './connection.ts';
import { ackReasonOf, isFinal } from './errors.ts';
import type { Output } from './output.ts';
import type { Session } from './session.ts';

export class Inbound implements PublishSink {
  readonly #link: Link;
  readonly #session: Session;
  readonly #output: Output;
  readonly #line = new AckLine();
  readonly #answer = (packetId: number, qos2: boolean, reason: number): void =>
    this.#send(packetId, qos2, reason);

  /** @param output where the answers go */
  constructor(link: Link, session: Session, output: Output) {
    this.#link = link;
    this.#session = session;
    this.#output = output;
  }

  /** Messages that the client may count against our receive maximum. */
  get open(): number {
    return this.#line.length;
  }

  begin(packetId: number, qos2: boolean): number {
    return this.#line.begin(packetId, qos2);
  }

  cancel(): void {
    this.#line.cancel();
  }

  /** Answers a packet that was not handed to the broker, in its turn. */
  answer(packetId: number, qos2: boolean, reason: number): void {
    this.#line.done(this.#line.begin(packetId, qos2), reason);
    this.#line.drain(this.#answer);
    this.#link.lanes?.answered();
  }

  published(token: number, error: BrokerError | null): void {
    const packetId = this.#line.packetId(token);
    const qos2 = this.#line.isQos2(token);
    if (qos2) {
      if (error === null) this.#session.receivedStored(packetId);
      else this.#session.receivedEnd(packetId);
    }
    if (error !== null) this.#link.room.metrics.refused.add();
    this.#line.done(token, error === null ? 0 : ackReasonOf(error));
    this.#line.drain(this.#answer);
    this.#link.lanes?.answered();
  }

  #send(packetId: number, qos2: boolean, reason: number): void {
    const link = this.#link;
    if (!link.delivering || link.session !== this.#session) return;
    const type = qos2 ? PUBREC : PUBACK;
    if (reason === 0 || (link.version < 5 && reason < 0x80)) {
      this.#output.ack(type << 4, packetId);
      return;
    }
    if (link.version === 5) {
      const packet = { packetId, reason, properties: NO_PROPERTIES };
      this.#output.append(encodeAck(type, packet, 5));
      return;
    }
    // 3.x cannot say no: what would be refused again is dropped, what the disk could not take is
    // not acknowledged, and the client sends it again after it has come back.
    if (isFinal(reason)) this.#output.ack(type << 4, packetId);
    else link.leave(reason, '');
  }
}

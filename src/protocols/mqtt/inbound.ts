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
import type { Session } from './session.ts';

export class Inbound implements PublishSink {
  readonly #link: Link;
  readonly #session: Session;
  readonly #line = new AckLine();
  #deferring = false;
  #deferred = -1;
  readonly #answer = (packetId: number, qos2: boolean, reason: number): void =>
    this.#send(packetId, qos2, reason);

  constructor(link: Link, session: Session) {
    this.#link = link;
    this.#session = session;
  }

  /** Messages that the client may count against our receive maximum. */
  get open(): number {
    return this.#line.length;
  }

  /**
   * A retained message: when the broker answers at once, because there is nothing to store of the
   * message itself, the answer still waits for the last value to be on disk.
   */
  defer(): void {
    this.#deferring = true;
  }

  undefer(): void {
    this.#deferring = false;
    const token = this.#deferred;
    if (token < 0) return;
    this.#deferred = -1;
    this.#session.store.committed((error) => this.published(token, error));
  }

  begin(packetId: number, qos2: boolean): number {
    return this.#line.begin(packetId, qos2);
  }

  cancel(): void {
    this.#deferring = false;
    this.#line.cancel();
  }

  /** Answers a packet that was not handed to the broker, in its turn. */
  answer(packetId: number, qos2: boolean, reason: number): void {
    this.#line.done(this.#line.begin(packetId, qos2), reason);
    this.#line.drain(this.#answer);
  }

  published(token: number, error: BrokerError | null): void {
    if (this.#deferring && error === null) {
      this.#deferred = token;
      return;
    }
    const packetId = this.#line.packetId(token);
    const qos2 = this.#line.isQos2(token);
    if (qos2) {
      if (error === null) this.#session.receivedStored(packetId);
      else this.#session.receivedEnd(packetId);
    }
    if (error !== null) this.#link.room.metrics.refused.add();
    this.#line.done(token, error === null ? 0 : ackReasonOf(error));
    this.#line.drain(this.#answer);
  }

  #send(packetId: number, qos2: boolean, reason: number): void {
    const link = this.#link;
    if (!link.delivering || link.session !== this.#session) return;
    const type = qos2 ? PUBREC : PUBACK;
    if (reason === 0 || (link.version < 5 && reason < 0x80)) {
      link.output.ack(type << 4, packetId);
      return;
    }
    if (link.version === 5) {
      const packet = { packetId, reason, properties: NO_PROPERTIES };
      link.output.append(encodeAck(type, packet, 5));
      return;
    }
    // 3.x cannot say no: what would be refused again is dropped, what the disk could not take is
    // not acknowledged, and the client sends it again after it has come back.
    if (isFinal(reason)) link.output.ack(type << 4, packetId);
    else link.leave(reason, '');
  }
}

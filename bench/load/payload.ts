/** Payloads that name their own number, so that a mix-up, a cut or a repeat shows. */

export function numbered(index: number, payloadBytes: number): Buffer {
  const payload = Buffer.alloc(payloadBytes, (index * 31) & 0xff);
  if (payloadBytes >= 4) payload.writeUInt32BE(index);
  return payload;
}

/**
 * Answers a check that expects the numbered payloads `0 … cycle - 1` over and over, in order.
 * Checks run at full speed, so the payloads are made once.
 */
export function inCycle(
  payloadBytes: number,
  cycle: number,
): (bytes: Buffer, start: number, end: number) => void {
  const expected = Array.from({ length: cycle }, (_, i) => numbered(i, payloadBytes));
  let next = 0;
  return (bytes, start, end) => {
    if (bytes.compare(expected[next % cycle]!, 0, payloadBytes, start, end) !== 0) {
      throw new Error(`payload ${next} differs from what was published`);
    }
    next++;
  };
}

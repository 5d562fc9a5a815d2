/** Payloads that name their own number, so that a mix-up, a cut or a repeat shows. */

export function numbered(index: number, payloadBytes: number): Buffer {
  const payload = Buffer.alloc(payloadBytes, (index * 31) & 0xff);
  if (payloadBytes >= 4) payload.writeUInt32BE(index);
  return payload;
}

/** Frames of the server that are whole in themselves. Messages are written by `outbox.ts`. */

export const OK = Buffer.from('+OK\r\n');
export const PING = Buffer.from('PING\r\n');
export const PONG = Buffer.from('PONG\r\n');

/** `-ERR 'text'`. What a client sent may be part of the text, but never a line end or a quote. */
export function errFrame(text: string): Buffer {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is sought.
  return Buffer.from(`-ERR '${text.replace(/[\u0000-\u001f\u007f']/g, '?')}'\r\n`);
}

/** All methods that a client may call on a channel, by name. */
import type { Channel } from '../channel.ts';
import { AmqpError } from '../errors.ts';
import type { Method } from '../methods.ts';
import { basicMethods } from './basic-methods.ts';
import { channelMethods } from './channel-methods.ts';
import { exchangeMethods } from './exchange-methods.ts';
import type { Handlers } from './handler.ts';
import { queueMethods } from './queue-methods.ts';

const methodHandlers: Handlers = {
  ...channelMethods,
  ...exchangeMethods,
  ...queueMethods,
  ...basicMethods,
};

/** What a method does, but for the open and the close of its channel. @throws AmqpError 503, 504 */
export function callMethod(channel: Channel, { name, fields }: Method): void | Promise<void> {
  if (name === 'channel.open') throw new AmqpError(504, "second 'channel.open' seen");
  const handler = methodHandlers[name] as
    | ((channel: Channel, fields: object) => void | Promise<void>)
    | undefined;
  // Answers that the client owes nobody here, such as flow-ok, and methods of the server's side.
  if (handler === undefined) {
    if (name.endsWith('-ok')) return;
    throw new AmqpError(503, `unexpected method ${name}`);
  }
  return handler(channel, fields);
}

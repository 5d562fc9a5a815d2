/** All methods that a client may call on a channel, by name. */
import { basicMethods } from './basic-methods.ts';
import { channelMethods } from './channel-methods.ts';
import { exchangeMethods } from './exchange-methods.ts';
import type { Handlers } from './handler.ts';
import { queueMethods } from './queue-methods.ts';

export const methodHandlers: Handlers = {
  ...channelMethods,
  ...exchangeMethods,
  ...queueMethods,
  ...basicMethods,
};

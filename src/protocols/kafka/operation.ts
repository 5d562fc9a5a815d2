/** Joins an API's rows with the function that serves it. */

import type { Call } from './call.ts';
import { type Api, apiOf } from './codec.ts';
import type { Reader } from './reader.ts';
import type { Room } from './room.ts';
import type { MessagePair, RequestOf, ResponseOf } from './rows.ts';

export interface Operation {
  readonly api: Api;
  /** Reads the request's body and sees to it that the call is answered. */
  serve(reader: Reader, call: Call, room: Room): void;
}

/** The function answers the call itself, once, whenever it can. */
export function answersLater<Pair extends MessagePair>(
  pair: Pair,
  serve: (request: RequestOf<Pair>, call: Call<Pair>, room: Room) => void,
): Operation {
  const api = apiOf(pair);
  return {
    api: api as unknown as Api,
    serve: (reader, call, room) =>
      serve(api.readRequest(reader, call.version), call as unknown as Call<Pair>, room),
  };
}

/** The function returns the response, or a promise of it. */
export function answers<Pair extends MessagePair>(
  pair: Pair,
  serve: (
    request: RequestOf<Pair>,
    call: Call<Pair>,
    room: Room,
  ) => ResponseOf<Pair> | Promise<ResponseOf<Pair>>,
): Operation {
  return answersLater(pair, (request, call, room) => {
    const response = serve(request, call, room);
    if (response instanceof Promise) {
      response.then(
        (body) => call.answer(body),
        (error: unknown) => call.session.crash(error),
      );
    } else call.answer(response as ResponseOf<Pair>);
  });
}

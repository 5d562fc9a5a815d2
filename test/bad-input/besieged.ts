/**
 * A server that the tests of one `describe` attack, and clients of all protocols beside it that
 * must notice nothing: after each test it still runs, and they still get their messages.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { type Server, type ServerOptions, startServer } from '../clients/server.ts';
import { Witness } from './witness.ts';

export class Besieged {
  server!: Server;
  witness!: Witness;
}

export function besieged(options: ServerOptions = {}): Besieged {
  const side = new Besieged();
  before(async () => {
    side.server = await startServer(options);
    side.witness = await Witness.connect(side.server);
    await side.witness.roundTrips();
  });
  afterEach(async () => {
    const { running, output } = side.server;
    assert.ok(running, `the server ended:\n${output.slice(-20).join('\n')}`);
    await side.witness.roundTrips();
  });
  after(async () => {
    await side.witness?.close().catch(() => {});
    await side.server[Symbol.asyncDispose]();
  });
  return side;
}

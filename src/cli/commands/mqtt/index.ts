/** `robust-ctl mqtt …` */
import type { Command } from 'commander';
import { addBrowse } from './browse.ts';
import { addClients } from './clients.ts';
import { addRules } from './rules.ts';
import { addWatch } from './watch.ts';

export function addMqtt(program: Command): void {
  const mqtt = program.command('mqtt').description('Clients, messages and rules of MQTT.');
  addClients(mqtt);
  addBrowse(mqtt);
  addRules(mqtt);
  addWatch(mqtt);
}

/** The flags of all options on a command, and the settings that all sources together give. */
import { type Command, Option as Flag } from 'commander';
import { protocols } from '#protocols';
import { CONFIG_VARIABLE, loadSettings } from '../options/load-settings.ts';
import type { Option, OptionSchema } from '../options/option-schema.ts';
import { showOption } from '../options/option-value.ts';
import type { Settings } from '../options/settings.ts';
import { serverSchema } from '../schema.ts';

const CONFIG_FLAG = '--config <file>';

/** Adds `--config` and one flag per option; the settings are read when the command runs. */
export function withOptionFlags(command: Command): { settings(): Settings } {
  const schema = serverSchema(protocols);
  command.optionsGroup('Configuration:');
  command.option(CONFIG_FLAG, `TOML file with settings (environment: ${CONFIG_VARIABLE})`);
  const names = addFlags(command, schema);
  return {
    settings() {
      const values = command.opts<Record<string, unknown>>();
      const flags: Record<string, unknown> = {};
      for (const [attribute, name] of names) {
        if (values[attribute] !== undefined) flags[name] = values[attribute];
      }
      const file = (values['config'] as string | undefined) ?? process.env[CONFIG_VARIABLE];
      return loadSettings(schema, { file, environment: process.env, flags });
    },
  };
}

/** @returns option names by the attribute names that commander gives their flags */
function addFlags(command: Command, schema: OptionSchema): Map<string, string> {
  const names = new Map<string, string>();
  for (const option of schema.options.values()) {
    const flag = flagOf(option);
    names.set(flag.attributeName(), option.name);
    command.addOption(flag);
  }
  return names;
}

function flagOf({ section, flag: long, row }: Option): Flag {
  const isBoolean = row.type === 'boolean';
  const flag = new Flag(
    `${long} ${isBoolean ? '[true|false]' : `<${row.choices?.join('|') ?? row.type}>`}`,
    `${row.help} Default: ${showOption(row.default)}`,
  );
  flag.helpGroup(`Options of ${section}:`);
  if (isBoolean) flag.preset('true');
  if (row.type === 'list') {
    // Given several times, the flag adds to the list.
    flag.argParser((value: string, before: string | undefined) =>
      before === undefined ? value : `${before},${value}`,
    );
  }
  return flag;
}

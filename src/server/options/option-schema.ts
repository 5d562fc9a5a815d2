/**
 * Every option of the server in one list. A row of a room becomes `<section>.<key>` in the file,
 * `ROBUSTMQ_<SECTION>_<KEY>` in the environment and `--<section>-<key>` on the command line.
 */
import { assert, type OptionRow, type OptionRows } from '#kit';

export interface OptionSection {
  readonly name: string;
  readonly rows: OptionRows;
  /** Keys that the table of a listener may have as well. */
  readonly perListener?: readonly string[];
}

export interface Option {
  /** `mqtt.listen` */
  readonly name: string;
  readonly section: string;
  readonly key: string;
  readonly row: OptionRow;
  /** `ROBUSTMQ_MQTT_LISTEN` */
  readonly environment: string;
  /** `--mqtt-listen` */
  readonly flag: string;
}

export const ENVIRONMENT_PREFIX = 'ROBUSTMQ_';

/** The few options that are typed often go without their section on the command line. */
const SHORT_FLAGS: Readonly<Record<string, string>> = {
  'server.data-dir': '--data-dir',
  'server.log-level': '--log-level',
};

export class OptionSchema {
  readonly sections: readonly OptionSection[];
  readonly options: ReadonlyMap<string, Option>;
  /** What may stand in the table of a listener, by key. */
  readonly listenerRows: ReadonlyMap<string, OptionRow>;

  /** @param listenerRows those that every listener has, whatever its protocol */
  constructor(sections: readonly OptionSection[], listenerRows: OptionRows = {}) {
    this.sections = sections;
    this.listenerRows = withProtocolRows(listenerRows, sections);
    const options = new Map<string, Option>();
    const spellings = new Set<string>();
    for (const { name: section, rows } of sections) {
      for (const [key, row] of Object.entries(rows)) {
        const option = optionOf(section, key, row);
        // `a-b.c` and `a.b-c` would meet in the environment and on the command line.
        assert(!spellings.has(option.environment), `option ${option.name} is unique`);
        spellings.add(option.environment);
        options.set(option.name, option);
      }
    }
    this.options = options;
  }
}

function withProtocolRows(
  common: OptionRows,
  sections: readonly OptionSection[],
): ReadonlyMap<string, OptionRow> {
  const all = new Map(Object.entries(common));
  for (const { name, rows, perListener = [] } of sections) {
    for (const key of perListener) {
      assert(!all.has(key), `${name}.${key} has its name for itself in the tables of listeners`);
      all.set(key, rows[key]!);
    }
  }
  return all;
}

function optionOf(section: string, key: string, row: OptionRow): Option {
  const name = `${section}.${key}`;
  const upper = `${section}_${key}`.toUpperCase().replaceAll('-', '_');
  const flag = SHORT_FLAGS[name] ?? `--${section}-${key}`;
  return { name, section, key, row, environment: ENVIRONMENT_PREFIX + upper, flag };
}

/**
 * Rules that change topic names and filters, once and before rights are asked (M181): the new name
 * is what counts from there on. Of the rules that match the last one holds, as in EMQX. A rule sees
 * the filter inside `$share/{group}/` and the other forms, which stay around the new one.
 */
import type { Json } from '#broker';
import type { Action, ActionCall } from '#contract';
import { BrokerError } from '#kit';
import type { Link } from '../connection.ts';
import type { Room } from '../room.ts';
import { filterMatches, plainFilter } from '../topics.ts';
import type { Feature } from './feature.ts';
import { oneOf, onlyFields, textField } from './fields.ts';
import { filled } from './placeholders.ts';
import { RuleList } from './rule-list.ts';

const KIND = 'mqtt.topic-rewrite';
const ACTIONS = ['publish', 'subscribe', 'all'] as const;
/** Longer expressions are no rules of names. */
const EXPRESSION_LENGTH_MAX = 512;

interface RewriteRule {
  readonly action: (typeof ACTIONS)[number];
  /** Names that it is for. */
  readonly filter: string;
  readonly expression: string;
  /** With `$1` to `$9`, `%c`, `%u`. */
  readonly to: string;
  readonly pattern: RegExp;
}

export class TopicRewrite implements Feature {
  readonly #room: Room;
  readonly #rules: RuleList<RewriteRule>;
  readonly actions: readonly Action[];

  constructor(room: Room) {
    this.#room = room;
    const fixed = room.options.topicRewrite.map(ruleOfText);
    this.#rules = new RuleList(room.broker, KIND, fixed, ruleOfJson, () => this.#changed());
    this.#changed();
    this.actions = [
      {
        method: 'GET',
        path: 'topic-rewrite',
        summary: 'Lists the rules that change MQTT topic names and filters.',
        run: () => ({
          rows: this.#rules.all.map(({ name, value }) => ({ name, ...shown(value) })),
        }),
      },
      {
        method: 'PUT',
        path: 'topic-rewrite/:name',
        summary: 'Adds a rule that changes MQTT topic names, filters, or both.',
        run: async ({ params, body }) => {
          await this.#rules.put(params['name']!, shown(ruleOfBody(body)));
          return null;
        },
      },
      {
        method: 'DELETE',
        path: 'topic-rewrite/:name',
        summary: 'Removes a rule that changes MQTT topic names.',
        run: async ({ params }) => {
          await this.#rules.remove(params['name']!);
          return null;
        },
      },
    ];
  }

  close(): void {
    this.#rules.close();
  }

  #changed(): void {
    // Told from inside the constructor before there is a list.
    const rules = this.#rules?.all ?? [];
    const has = (action: string): boolean =>
      rules.some(({ value }) => value.action === action || value.action === 'all');
    this.#room.publishedName = has('publish')
      ? (link, topic) => this.#rewrite(link, topic, 'publish')
      : null;
    this.#room.subscribedName = has('subscribe') ? (link, text) => this.#filter(link, text) : null;
    // Names that connections remember lead to their old places.
    for (const link of this.#room.links()) link.forgetRoutes();
  }

  #filter(link: Link, text: string): string {
    const plain = plainFilter(text);
    if (plain === null) return text;
    const changed = this.#rewrite(link, plain, 'subscribe');
    return changed === plain ? text : text.slice(0, text.length - plain.length) + changed;
  }

  #rewrite(link: Link, name: string, action: 'publish' | 'subscribe'): string {
    let changed = name;
    for (const { value } of this.#rules.all) {
      if (value.action !== action && value.action !== 'all') continue;
      if (!filterMatches(value.filter, name)) continue;
      const found = value.pattern.exec(name);
      if (found === null) continue;
      const text = value.to.replace(/\$([1-9])/g, (_, digit: string) => found[Number(digit)] ?? '');
      const next = link.session === null ? text : filled(text, link.session);
      if (isGood(next, action)) changed = next;
    }
    return changed;
  }
}

/** What a client brings along must not make a name that is none. */
function isGood(name: string, action: 'publish' | 'subscribe'): boolean {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > 0xffff) return false;
  return action === 'subscribe' || !/[+#]/.test(name);
}

/** `publish x/# ^x/(.+)$ y/$1` */
function ruleOfText(text: string): RewriteRule {
  const [action = '', filter = '', expression = '', to = '', more] = text.trim().split(/\s+/);
  if (more !== undefined) throw new BrokerError('bad-configuration', `topic-rewrite: "${text}"`);
  return ruleOfBody({ action, filter, expression, to });
}

function ruleOfBody(body: ActionCall['body']): RewriteRule {
  onlyFields(body, ['action', 'filter', 'expression', 'to']);
  const expression = textField(body, 'expression');
  if (expression.length > EXPRESSION_LENGTH_MAX) {
    throw new BrokerError('invalid-argument', `at most ${EXPRESSION_LENGTH_MAX} characters.`);
  }
  const action = oneOf(body, 'action', ACTIONS);
  const filter = textField(body, 'filter');
  const to = textField(body, 'to');
  try {
    return { action, filter, expression, to, pattern: new RegExp(expression, 'u') };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new BrokerError('invalid-argument', `the expression: ${error.message}`);
  }
}

function ruleOfJson(value: Json): RewriteRule {
  return ruleOfBody(value as ActionCall['body']);
}

function shown({ action, filter, expression, to }: RewriteRule): Record<string, string> {
  return { action, filter, expression, to };
}

/** The topics as groups see them, and who is told when they come and go. */
import type { Stream, Streams } from '#broker';
import type { GroupTopic, GroupTopics } from './consumer-group.ts';
import type { TopicPatterns } from './topic-patterns.ts';

export class TopicsOfGroups implements GroupTopics {
  version = 0;
  readonly #streams: Streams;
  readonly #stopWatching: () => void;

  constructor(streams: Streams, patterns: TopicPatterns) {
    this.#streams = streams;
    this.#stopWatching = streams.watch((event, stream) => {
      this.version++;
      if (stream.hidden) return;
      if (event === 'created') patterns.created(stream.safeName);
      else if (event === 'removed') patterns.removed(stream.safeName);
    });
  }

  find(name: string): GroupTopic | undefined {
    const stream = this.#find(name);
    if (stream === undefined) return undefined;
    return { topicId: stream.id, partitions: stream.partitions.length };
  }

  idOf(name: string): string | undefined {
    return this.#find(name)?.id;
  }

  nameOf(topicId: string): string | undefined {
    return this.#streams.byId(topicId)?.safeName;
  }

  /** What patterns can stand for. */
  *names(): Generator<string> {
    for (const stream of this.#streams.list()) if (!stream.hidden) yield stream.safeName;
  }

  close(): void {
    this.#stopWatching();
  }

  #find(name: string): Stream | undefined {
    const stream = this.#streams.bySpelling(name);
    // The server's own streams are nobody's topics.
    return stream?.name.startsWith('__') ? undefined : stream;
  }
}

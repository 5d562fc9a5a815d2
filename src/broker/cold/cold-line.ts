/**
 * One line of messages that many queues which are not in memory wait for: what memory has of it.
 * The messages are rows of state (`cold-lines.ts`). Who begins at which of them is known by number
 * of members, so that a message costs nothing per queue, and what nobody needs is known.
 */

/** Members whose first message is this one. */
interface Mark {
  readonly number: number;
  readonly position: number;
  members: number;
}

export class ColdLine {
  readonly text: string;
  /** The filter whose messages these are; -1: nobody has it any more. */
  filter = -1;
  /** Positions count the messages of the line: from the first that is kept, to before the next. */
  start: number;
  end: number;
  /** No row has a position below it. */
  kept: number;
  /** Some of its messages expire. */
  expiring = false;
  /** In the order of their numbers. Members of none wait for the next message. */
  readonly #marks: Mark[] = [];
  /** Members of all marks. */
  #joined = 0;
  /** Of those, members that a limit keeps from getting the next message. */
  full = 0;

  constructor(text: string, position: number) {
    this.text = text;
    this.start = position;
    this.end = position;
    this.kept = position;
  }

  /** Positions below it are needed by nobody. */
  get needed(): number {
    const [first] = this.#marks;
    return first === undefined ? this.end : Math.max(this.start, first.position);
  }

  /** How many members have begun. */
  get joined(): number {
    return this.#joined;
  }

  /**
   * A message comes.
   * @param members of the line, all of them
   * @param lengthMax messages that each of them may have
   * @returns how many of them had as many before
   */
  append(number: number, members: number, lengthMax: number): number {
    const waiting = members - this.#joined;
    if (waiting > 0) {
      this.#marks.push({ number, position: this.end, members: waiting });
      this.#joined += waiting;
    }
    const full = this.full;
    this.end++;
    const to = this.end - lengthMax;
    // Those who began before what is kept have as many as who begins with it.
    if (to === this.start) this.full = this.#membersIn(Number.NEGATIVE_INFINITY, to);
    else if (to > this.start) this.full += this.#membersIn(to - 1, to);
    return full;
  }

  /** The last message is none: its members wait again. */
  takeBack(number: number, lengthMax: number): void {
    const last = this.#marks.at(-1);
    if (last?.number === number) {
      this.#marks.pop();
      this.#joined -= last.members;
    }
    this.end--;
    this.start = Math.min(this.start, this.end);
    this.kept = Math.min(this.kept, this.end);
    this.count(lengthMax);
  }

  /** After a start: a member whose first message has this number. */
  rejoin(number: number, position: number): void {
    const index = this.#from(number);
    const mark = this.#marks[index];
    if (mark?.number === number) mark.members++;
    else this.#marks.splice(index, 0, { number, position, members: 1 });
    this.#joined++;
  }

  /** Counts who is full, after members or positions changed. */
  count(lengthMax: number): void {
    this.full = 0;
    const to = this.end - lengthMax;
    if (to >= this.start) this.full = this.#membersIn(Number.NEGATIVE_INFINITY, to);
  }

  /** What is older goes. Those who would begin there are one: their messages are the same. */
  dropBelow(position: number): void {
    this.start = position;
    let last = 0;
    while ((this.#marks[last + 1]?.position ?? position) < position) last++;
    if (last === 0) return;
    const [mark] = this.#marks.splice(last, 1);
    for (const { members } of this.#marks.splice(0, last)) mark!.members += members;
    this.#marks.unshift(mark!);
  }

  /** A member goes, with or without what waited. @param since see `lengthSince` */
  leave(since: number, lengthMax: number): void {
    const index = this.#from(since);
    const mark = this.#marks[index];
    if (mark === undefined) return;
    mark.members--;
    this.#joined--;
    if (Math.max(mark.position, this.start) <= this.end - lengthMax) this.full--;
    if (mark.members === 0) this.#marks.splice(index, 1);
  }

  /** Messages that wait for a member that has all with lesser numbers. */
  lengthSince(since: number, lengthMax: number): number {
    const first = this.firstOf(since);
    return Math.min(lengthMax, Math.max(0, this.end - Math.max(this.start, first)));
  }

  /** Position of the first message of such a member; of the next message when none waits for it. */
  firstOf(since: number): number {
    return this.#marks[this.#from(since)]?.position ?? this.end;
  }

  /** How many members still wait for the message at a position. */
  membersAt(position: number): number {
    return this.#membersIn(Number.NEGATIVE_INFINITY, position);
  }

  /** Messages that wait, for all members together. */
  total(lengthMax: number): number {
    let total = 0;
    for (const { position, members } of this.#marks) {
      total += members * Math.min(lengthMax, this.end - Math.max(position, this.start));
    }
    return total;
  }

  /** Members that begin after one position, and not after another. */
  #membersIn(after: number, to: number): number {
    let low = 0;
    let high = this.#marks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#marks[middle]!.position <= after) low = middle + 1;
      else high = middle;
    }
    let members = 0;
    for (let index = low; (this.#marks[index]?.position ?? to + 1) <= to; index++) {
      members += this.#marks[index]!.members;
    }
    return members;
  }

  /** Index of the first mark whose number is not less. */
  #from(number: number): number {
    let low = 0;
    let high = this.#marks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#marks[middle]!.number < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What waits for one queue alone, and what waits for others as well, in one order. */
import type { LineReference } from './cold-lines.ts';
import type { ColdPolicy } from './cold-policy.ts';
import type { ColdReference, NumberedReference } from './cold-references.ts';

/** @param length messages that the queue has already */
export function* mergeReferences(
  own: Iterable<NumberedReference>,
  lined: Iterator<LineReference>,
  policy: ColdPolicy,
  length: number,
): Generator<ColdReference> {
  let next = lined.next();
  for (const reference of own) {
    for (; next.done !== true && next.value.number < reference.number; next = lined.next()) {
      if (length >= policy.newestMax) policy.dropped(1);
      else {
        length++;
        yield referenceOf(next.value, policy);
      }
    }
    // The reference of its own stands for both.
    if (next.done !== true && next.value.number === reference.number) next = lined.next();
    length++;
    yield reference;
  }
  for (; next.done !== true; next = lined.next()) {
    if (length >= policy.newestMax) policy.dropped(1);
    else {
      length++;
      yield referenceOf(next.value, policy);
    }
  }
}

function referenceOf(lined: LineReference, policy: ColdPolicy): ColdReference {
  const { logId, offset, size, options, alias } = lined;
  return { logId, offset, size, meta: policy.meta(options, alias) };
}

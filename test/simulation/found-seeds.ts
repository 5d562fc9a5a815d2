/**
 * Seeds that found a fault, with what it was. A change of the simulation or of the server gives a
 * seed another story, so each fault that matters has a test of its own beside the code as well.
 */
export const FOUND_SEEDS: readonly (readonly [seed: number, fault: string])[] = [
  [79, 'references of a large entry lay in the next one, after the acknowledgement'],
  [94, 'an entry whose sync failed was served from the cache and later lost'],
  [118, 'what others published while the server stopped was missing in durable AMQP queues'],
  [196, 'power that failed in the very first start was told as damage'],
  [303, 'dead letters that had found the disk full stayed when space returned'],
  [737, 'a checkpoint during a start passed over the acknowledgements of queues'],
  [1151, 'a decision about a transaction that found the disk full was never carried out'],
  [1242, 'stored queues were looked at without end while the disk was full'],
];

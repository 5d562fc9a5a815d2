/**
 * confluent-kafka (librdkafka), unmodified; scenarios in programs/python/confluent_scenarios.py.
 */
import { pythonClient } from './python-scenarios.ts';

await pythonClient('confluent-kafka', 'confluent_scenarios.py', 'kafka', {
  round_trip: 'keys, values, headers and timestamps come back exactly, nulls too K24 K204',
  acks: 'acks 0, 1 and all are answered as they should be K10 K27',
  compression: 'gzip, snappy, lz4 and zstd batches come back with a right checksum K22',
  idempotent: 'an idempotent producer keeps the order of each key and doubles nothing K28 K29',
  transactions:
    'transactions are committed, aborted and fenced, with offsets of a group K69 K71 K204',
  group_resume: 'a group goes on after its committed offset K63 K108 K109',
  rebalance: 'two members share four partitions, and one gets all when the other leaves K60 K111',
  cooperative: 'cooperative-sticky members share and take over partitions K61',
  offsets: 'watermarks, offsets by time and seek give the right records K36 K102',
  out_of_range: 'an offset after the end is out of range K31',
  topics: 'topics are created, described, refused when wrong, and deleted K81 K119 K120 K132',
  groups: 'groups are listed and described with their members K115 K116',
  auto_create: 'a first message makes its topic K46',
  large: 'a record of 5 MiB is fetched although it is larger than the fetch limit K30',
  many: '100 000 records are all read K37 K38',
});

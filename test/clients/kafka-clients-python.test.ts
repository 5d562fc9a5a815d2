/**
 * kafka-python and aiokafka, unmodified, which speak the protocol with codecs of their own;
 * scenarios in programs/python/kafka_python_scenarios.py and aiokafka_scenarios.py.
 */
import { pythonClient, type Scenarios } from './python-scenarios.ts';
import { FULL } from './tier.ts';

/** Further scenarios of the full tier. */
function full(scenarios: Scenarios): Scenarios {
  return FULL ? scenarios : {};
}

await pythonClient('kafka-python', 'kafka_python_scenarios.py', 'kafka', {
  codecs: 'idempotent batches of every codec come back byte for byte K22 K24 K28 K208',
  transactions: 'read_committed sees what was committed, an older producer is fenced K69 K71 K208',
  ...full({
    nulls: 'null and empty keys and values stay apart K24 K208',
    group: 'two members share three partitions, and go on at their offsets K60 K63 K208',
    seek: 'reads from a timestamp, the beginning and the end K36 K102 K208',
    offsets: 'deleted records are gone, and the offsets say so K39 K102 K121 K208',
    configs: 'topic configs are read, changed one by one and reset K80 K132 K144 K208',
    admins: 'topics grow and go, groups are listed, described and deleted K81 K115 K137 K142 K208',
  }),
});

await pythonClient('aiokafka', 'aiokafka_scenarios.py', 'kafka', {
  codecs:
    'idempotent batches of every codec of aiokafka are byte for byte the same K22 K24 K28 K211',
  ...full({
    nulls: 'aiokafka finds null and empty keys and values apart K24 K211',
    group: 'two members of aiokafka share, and go on at their offsets K60 K63 K211',
    seek: 'aiokafka reads from a timestamp, the beginning and the end K36 K102 K211',
    admins:
      'aiokafka makes, changes and deletes topics, records and groups K81 K121 K133 K137 K211',
    transactions: 'aiokafka with read_committed sees what was committed K69 K71 K211',
    fencing: 'an older transactional producer of aiokafka is fenced K69 K211',
  }),
});

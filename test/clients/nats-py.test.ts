/** nats-py, unmodified. The scenarios are in programs/python/nats_scenarios.py. */
import { pythonClient } from './python-scenarios.ts';

await pythonClient('nats-py', 'nats_scenarios.py', 'nats', {
  publish_subscribe: 'bodies of 0 bytes to 1 MiB reach a subscriber N9 R67',
  wildcards: '* takes one token and > at least one N16',
  queue_groups: 'each message goes to one member of a queue group and to every plain one N18 N19',
  request_reply: '100 requests get their answers N17',
  no_responders: 'a request that nobody listens to fails at once N20',
  headers: 'headers keep their names and values N10',
  unsubscribe_after: 'a subscription with a maximum ends after that many messages N17',
  echo: 'a client without echo does not see its own messages N7',
  verbose_and_pedantic: 'verbose and pedantic connections work N4 N5',
  credentials: 'user and password are checked N40',
  drain: 'a draining client still gets what was sent before N21',
  many: '50 000 messages arrive complete and in order N21',
  limits: 'INFO announces at least 1 MiB of payload and a version N1',
});

/** DescribeUserScramCredentials and AlterUserScramCredentials: the broker's users (KIP-554). */
import { SCRAM_MECHANISMS, type ScramMechanism } from '#broker';
import { BrokerError } from '#kit';
import { KAFKA } from '../error-codes.ts';
import { describeUserScramCredentials } from '../messages/50-describe-user-scram-credentials.ts';
import { alterUserScramCredentials } from '../messages/51-alter-user-scram-credentials.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf, ResponseOf } from '../rows.ts';

const NOT_ALLOWED = 'it takes the right on the cluster';

type Described = ResponseOf<typeof describeUserScramCredentials>['results'][number];
type Altered = ResponseOf<typeof alterUserScramCredentials>['results'][number];
type Alteration = RequestOf<typeof alterUserScramCredentials>;

/** Mechanisms are numbers from 1. */
function mechanismOf(type: number): ScramMechanism | undefined {
  return SCRAM_MECHANISMS[type - 1];
}

export const describeScramOperation = answers(
  describeUserScramCredentials,
  ({ users }, call, room) => {
    if (!room.mayOnCluster(call.session, 'describe')) {
      const errorCode = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
      return { errorCode, errorMessage: NOT_ALLOWED, results: [] };
    }
    const asked = users?.map(({ name }) => name) ?? [];
    const all = room.broker.principals.users().filter((user) => user.mechanisms.length > 0);
    const names = asked.length === 0 ? all.map(({ name }) => name) : [...new Set(asked)];
    const results = names.map((user): Described => {
      if (asked.indexOf(user) !== asked.lastIndexOf(user)) {
        const errorMessage = 'the user is named twice';
        return { user, errorCode: KAFKA.DUPLICATE_RESOURCE, errorMessage, credentialInfos: [] };
      }
      return describe(room, user);
    });
    return { errorCode: KAFKA.NONE, results };
  },
);

function describe(room: Room, user: string): Described {
  const credentialInfos = [];
  for (const [index, mechanism] of SCRAM_MECHANISMS.entries()) {
    const credential = room.broker.principals.store.scramOf(user, mechanism);
    if (credential === undefined) continue;
    credentialInfos.push({ mechanism: index + 1, iterations: credential.iterations });
  }
  if (credentialInfos.length > 0) return { user, errorCode: KAFKA.NONE, credentialInfos };
  const errorMessage = 'the user has no SCRAM credentials';
  return { user, errorCode: KAFKA.RESOURCE_NOT_FOUND, errorMessage, credentialInfos };
}

export const alterScramOperation = answers(
  alterUserScramCredentials,
  async (request, call, room) => {
    const { deletions, upsertions } = request;
    const names = [...new Set([...deletions, ...upsertions].map(({ name }) => name))];
    const allowed = room.mayOnCluster(call.session, 'alter');
    const results = names.map((user): Altered => {
      if (allowed) return alter(room, user, request);
      const errorCode = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
      return { user, errorCode, errorMessage: NOT_ALLOWED };
    });
    await room.broker.definitions.durable();
    return { results };
  },
);

/** All changes of one user, or none of them when one cannot be made. */
function alter({ broker }: Room, user: string, request: Alteration): Altered {
  const { store } = broker.principals;
  const deletions = request.deletions.filter(({ name }) => name === user);
  const upsertions = request.upsertions.filter(({ name }) => name === user);
  const fault = (errorCode: number, errorMessage: string): Altered => {
    return { user, errorCode, errorMessage };
  };
  const types = [...deletions, ...upsertions].map(({ mechanism }) => mechanism);
  if (new Set(types).size !== types.length) {
    return fault(KAFKA.DUPLICATE_RESOURCE, 'a credential is named twice');
  }
  if (types.some((type) => mechanismOf(type) === undefined)) {
    return fault(KAFKA.UNSUPPORTED_SASL_MECHANISM, 'there is no such mechanism');
  }
  const missing = deletions.some(
    ({ mechanism }) => store.scramOf(user, mechanismOf(mechanism)!) === undefined,
  );
  if (missing) return fault(KAFKA.RESOURCE_NOT_FOUND, 'the user has no such credential');
  const changes = upsertions.map(({ mechanism, iterations, salt, saltedPassword }) => {
    return { mechanism: mechanismOf(mechanism)!, iterations, salt, salted: saltedPassword };
  });
  try {
    store.checkScram(user, changes);
    for (const { mechanism } of deletions) store.removeScram(user, mechanismOf(mechanism)!);
    for (const change of changes) store.setScram(user, change);
    return { user, errorCode: KAFKA.NONE };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return fault(KAFKA.UNACCEPTABLE_CREDENTIAL, error.message);
  }
}

/** ApiVersions: what the server speaks, computed from the rows; asked before anything else. */
import { ADVERTISED, type Api, apiOf } from '../codec.ts';
import { KAFKA } from '../error-codes.ts';
import { FEATURES } from '../features.ts';
import { apiVersions } from '../messages/18-api-versions.ts';
import type { Operation } from '../operation.ts';
import { shortText } from '../short-text.ts';

const NAMED_SINCE = 3;
/** What software may call itself (KIP-511). */
const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/;

/** From here on clients know features of which level 0 is one (KAFKA-17011). */
const LEVEL_ZERO_SINCE = 4;
const FEATURES_EPOCH = 0;
/** What is kept of the name of a client's software, and of its version. */
const SOFTWARE_CHARACTERS_MAX = 64;

const api = apiOf(apiVersions);

function features(version: number) {
  const shown = FEATURES.map(({ name, minVersion, maxVersion, level }) => ({
    supported: {
      ...{ name, maxVersion },
      minVersion: version >= LEVEL_ZERO_SINCE ? minVersion : Math.max(1, minVersion),
    },
    finalized: { name, maxVersionLevel: level, minVersionLevel: level },
  }));
  return {
    supportedFeatures: shown.map(({ supported }) => supported),
    finalizedFeaturesEpoch: FEATURES_EPOCH,
    finalizedFeatures: shown.map(({ finalized }) => finalized),
  };
}

/**
 * An unknown version is answered in version 0 with the range of ApiVersions itself, so that a newer
 * client can begin again (K2).
 */
export const apiVersionsOperation: Operation = {
  api: api as unknown as Api,
  serve(reader, call) {
    if (!api.supports(call.version)) {
      const own = ADVERTISED.filter(({ apiKey }) => apiKey === apiVersions.key);
      call.answerInVersion(0, { errorCode: KAFKA.UNSUPPORTED_VERSION, apiKeys: own });
      return;
    }
    const { clientSoftwareName: name, clientSoftwareVersion: version } = api.readRequest(
      reader,
      call.version,
    );
    if (call.version >= NAMED_SINCE) {
      if (!SOFTWARE_NAME.test(name) || !SOFTWARE_NAME.test(version)) {
        call.answer({ errorCode: KAFKA.INVALID_REQUEST, apiKeys: [] });
        return;
      }
      call.session.software = {
        name: shortText(name, SOFTWARE_CHARACTERS_MAX),
        version: shortText(version, SOFTWARE_CHARACTERS_MAX),
      };
    }
    call.answer({ errorCode: KAFKA.NONE, apiKeys: ADVERTISED, ...features(call.version) });
  },
};

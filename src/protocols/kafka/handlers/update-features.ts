/**
 * UpdateFeatures: levels are fixed by the program, so the only update that can be made is to the
 * level that holds; every other one is refused, as by a cluster that does not know it.
 */
import { KAFKA } from '../error-codes.ts';
import { FEATURES } from '../features.ts';
import { updateFeatures } from '../messages/57-update-features.ts';
import { answers } from '../operation.ts';

/** Later versions tell one error for all. */
const RESULTS_UNTIL = 1;

export const updateFeaturesOperation = answers(updateFeatures, (request, call, room) => {
  if (!room.mayOnCluster(call.session, 'alter')) {
    const errorCode = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
    return { errorCode, errorMessage: 'not authorized' };
  }
  const names = request.featureUpdates.map(({ feature }) => feature);
  if (names.length === 0 || new Set(names).size !== names.length) {
    const errorMessage = 'each feature is named once, and at least one';
    return { errorCode: KAFKA.INVALID_REQUEST, errorMessage };
  }
  const results = request.featureUpdates.map(({ feature, maxVersionLevel }) => {
    const errorMessage = faultOf(feature, maxVersionLevel);
    const errorCode = errorMessage === null ? KAFKA.NONE : KAFKA.INVALID_UPDATE_VERSION;
    return { feature, errorCode, errorMessage };
  });
  if (call.version <= RESULTS_UNTIL) return { errorCode: KAFKA.NONE, results };
  const wrong = results.find(({ errorMessage }) => errorMessage !== null);
  return wrong === undefined ? { errorCode: KAFKA.NONE } : wrong;
});

function faultOf(name: string, level: number): string | null {
  const feature = FEATURES.find((one) => one.name === name);
  if (feature === undefined) return `there is no feature ${name}`;
  return level === feature.level ? null : `${name} is ${feature.level} in this version`;
}

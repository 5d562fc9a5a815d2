/** Settings for the mounted disk, which is slower than a real one: small files only. */
import { TRIAL_SETTINGS } from '../load/settings.ts';

export const CUT_SETTINGS = TRIAL_SETTINGS.filter(({ flags }) => flags.length > 0);

/**
 * Installs every toolchain, in parallel, and says what is there. Never fails: tests skip by name.
 */
import { FULL } from '../tier.ts';
import { FULL_TOOLCHAINS, forgetFailure, ready, TOOLCHAINS } from './index.ts';

const wanted = FULL ? [...TOOLCHAINS, ...FULL_TOOLCHAINS] : TOOLCHAINS;

await Promise.all(
  wanted.map(async (toolchain) => {
    const startedAt = performance.now();
    forgetFailure(toolchain);
    const { folder, missing } = await ready(toolchain);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const what = missing === null ? (await toolchain.versions(folder)).join('; ') : missing;
    console.log(
      `${missing === null ? 'ready' : 'absent'} ${toolchain.name} (${seconds} s): ${what}`,
    );
  }),
);

/** Who may come in. The server answers from its ban list; net asks at the right moments. */
import type { Client } from '#contract';

export interface Admission {
  /** Why nobody may connect from there, or null. Asked before a byte is read. */
  refusesAddress(address: string): string | null;
  /** Why this client may not come in, or null. */
  refusesClient(client: Client, address: string): string | null;
  /** A client that had been let in is gone. */
  left(client: Client, address: string): void;
}

export const OPEN_ADMISSION: Admission = {
  refusesAddress: () => null,
  refusesClient: () => null,
  left() {},
};

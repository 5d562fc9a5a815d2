/**
 * A user as it is now. Every connection of the user holds the same object, which changes in place:
 * what is taken away is gone at once, without looking for connections.
 */
import type { ScramCredential, ScramMechanism } from './scram.ts';

/** How a password became what is stored. */
export type PasswordForm = 'scrypt' | 'pbkdf2-sha512' | 'sha512';

/** A user as the catalogue has it. */
export interface StoredUser {
  readonly id: number;
  readonly superuser: boolean;
  readonly loopbackOnly: boolean;
  /** Absent: true. */
  readonly enabled?: boolean;
  readonly roles?: readonly string[];
  /** Base64; empty when there are SCRAM credentials only. */
  readonly salt: string;
  readonly hash: string;
  /** Absent: scrypt. */
  readonly form?: PasswordForm;
  /** Of pbkdf2-sha512. */
  readonly iterations?: number;
  readonly scram?: { readonly [mechanism in ScramMechanism]?: ScramCredential };
  /** The mechanism whose credential a plain password is compared with when there is no hash. */
  readonly plainBy?: ScramMechanism;
  /** Where it is kept up from; absent for users that were made here. */
  readonly source?: string;
}

export class Account {
  readonly name: string;
  readonly id: number;
  readonly anonymous: boolean;
  superuser = false;
  /** False when it was disabled or removed. */
  enabled = true;
  roles: readonly string[] = [];
  stored: StoredUser | null = null;

  constructor(name: string, id: number, anonymous: boolean) {
    this.name = name;
    this.id = id;
    this.anonymous = anonymous;
  }

  /** Takes over what the catalogue says. */
  update(stored: StoredUser): void {
    this.stored = stored;
    this.superuser = stored.superuser;
    this.enabled = stored.enabled ?? true;
    this.roles = stored.roles ?? [];
  }

  end(): void {
    this.enabled = false;
    this.superuser = false;
  }
}

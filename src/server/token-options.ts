/** Whose tokens are a log-in, and what they must say: part of the section `auth`. */
import type { OptionRows } from '#kit';

export const TOKEN_OPTIONS = {
  'token-keys-url': {
    type: 'text',
    default: '',
    help:
      'Where the identity provider publishes the keys of its tokens (JWKS). With this or ' +
      '`auth.token-keys-file` a token is a log-in: SASL OAUTHBEARER.',
  },
  'token-keys-file': {
    type: 'text',
    default: '',
    help: 'File with the keys of tokens (JWKS), in place of `auth.token-keys-url`.',
  },
  'token-keys-age': {
    type: 'duration',
    default: 3_600_000,
    min: 1000,
    help: 'Keys of tokens are fetched again when they are so old.',
  },
  'token-issuer': {
    type: 'text',
    default: '',
    help: 'The issuer that a token must name (`iss`).',
  },
  'token-audience': {
    type: 'list',
    default: [],
    help: 'A token must be for one of these (`aud`).',
  },
  'token-scope': {
    type: 'list',
    default: [],
    help: 'A token must have all of these scopes (`scope` or `scp`).',
  },
  'token-user-claim': {
    type: 'text',
    default: 'sub',
    help: 'The claim of a token that is the name of a user here.',
  },
  'token-clock-skew': {
    type: 'duration',
    default: 30_000,
    min: 0,
    max: 600_000,
    help: 'How far the clock of the identity provider may be from that of the server.',
  },
} as const satisfies OptionRows;

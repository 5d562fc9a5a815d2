/** What may be set about TLS: the section `tls`, and again in the table of a listener. */
import type { OptionRows } from '#kit';

export const TLS_OPTIONS = {
  cert: {
    type: 'list',
    default: [],
    help:
      'Files with certificate chains in PEM form. With `key` they open the TLS listeners. Of ' +
      'several the one whose names fit the name that the client asks for is shown, else the first.',
  },
  key: {
    type: 'list',
    default: [],
    help: 'Files with the private keys in PEM form, in the order of `cert`.',
  },
  ca: {
    type: 'text',
    default: '',
    help: 'File with the authorities of client certificates. When set, clients must present one.',
  },
  verify: {
    type: 'text',
    default: 'auto',
    choices: ['auto', 'none', 'optional', 'required'],
    help:
      'Certificates of clients: `required`, `optional` (one that is presented must be good), or ' +
      '`none`. `auto`: required when `ca` is set.',
  },
  crl: {
    type: 'text',
    default: '',
    help:
      'File with certificate revocation lists in PEM form, one for every authority in the chain of ' +
      'a client.',
  },
  ocsp: {
    type: 'list',
    default: [],
    help:
      'Files with OCSP responses in DER form, in the order of `cert`, that are stapled to the ' +
      'handshake.',
  },
  'min-version': {
    type: 'text',
    default: '1.2',
    choices: ['1.2', '1.3'],
    help: 'Oldest TLS version that is accepted.',
  },
  ciphers: {
    type: 'text',
    default: '',
    help:
      'Cipher suites in the order of preference, in the notation of OpenSSL. Empty: those of the ' +
      'runtime.',
  },
  watch: {
    type: 'boolean',
    default: true,
    help: 'Load the files again when they change; connections that are open stay open.',
  },
  'identity-user': {
    type: 'text',
    default: 'none',
    choices: ['none', 'cn', 'dn', 'san-dns', 'san-email', 'san-uri', 'digest'],
    help: 'What of a client certificate names the user; no password is asked then.',
  },
  'identity-user-rules': {
    type: 'text',
    default: '',
    help:
      'How the name of the user is made of that part of the certificate, in the notation of ' +
      'ssl.principal.mapping.rules: `RULE:pattern/replacement/[LU]`, `DEFAULT`, with commas ' +
      'between them. A certificate that no rule fits names nobody. Empty: the name as it is.',
  },
  'identity-client-id': {
    type: 'text',
    default: 'none',
    choices: ['none', 'cn', 'dn', 'san-dns', 'san-email', 'san-uri', 'digest'],
    help: 'What of a client certificate is the client identifier, whatever the client says.',
  },
} as const satisfies OptionRows;

/** What the certificate of a client says about who it is. */
import type { X509Certificate } from 'node:crypto';
import type { PeerIdentity } from '#contract';
import type { ListenerSettings } from '../net-options.ts';
import { mappedName } from './name-rules.ts';

export type IdentitySettings = Pick<
  ListenerSettings,
  'identityUser' | 'identityUserRules' | 'identityClientId'
>;

/** Of a certificate that was verified. */
export function identityOf(leaf: X509Certificate, settings: IdentitySettings): PeerIdentity {
  return {
    commonName: commonNameOf(leaf),
    digest: digestOf(leaf),
    user: mappedName(nameOf(leaf, settings.identityUser), settings.identityUserRules),
    clientId: nameOf(leaf, settings.identityClientId),
  };
}

/** What a load balancer says of a certificate that it has verified: the common name only. */
export function identityOfName(commonName: string, settings: IdentitySettings): PeerIdentity {
  const named = (source: string): string | null => (source === 'cn' ? commonName : null);
  return {
    commonName,
    digest: '',
    user: mappedName(named(settings.identityUser), settings.identityUserRules),
    clientId: named(settings.identityClientId),
  };
}

function nameOf(leaf: X509Certificate, source: string): string | null {
  const name = READERS[source]?.(leaf) ?? '';
  return name === '' ? null : name;
}

const READERS: Readonly<Record<string, (leaf: X509Certificate) => string>> = {
  cn: commonNameOf,
  dn: distinguishedNameOf,
  'san-dns': (leaf) => alternativeName(leaf, 'DNS'),
  'san-email': (leaf) => alternativeName(leaf, 'email'),
  'san-uri': (leaf) => alternativeName(leaf, 'URI'),
  digest: digestOf,
};

/** The last one, which is the most specific. */
function commonNameOf(leaf: X509Certificate): string {
  const names = leaf.subject.split('\n').filter((line) => line.startsWith('CN='));
  return unescaped(names.at(-1)?.slice(3) ?? '');
}

/** As in RFC 4514: the most specific part first. */
function distinguishedNameOf(leaf: X509Certificate): string {
  return leaf.subject.split('\n').reverse().join(',');
}

function digestOf(leaf: X509Certificate): string {
  return leaf.fingerprint256.replaceAll(':', '').toLowerCase();
}

const ALTERNATIVE = /(\w[\w ]*):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g;

/** The first of its kind. */
function alternativeName(leaf: X509Certificate, kind: string): string {
  for (const [, name, value = ''] of (leaf.subjectAltName ?? '').matchAll(ALTERNATIVE)) {
    // The runtime quotes values in which a comma could forge another name.
    if (name === kind) return value.startsWith('"') ? String(JSON.parse(value)) : value;
  }
  return '';
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}

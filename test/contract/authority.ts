/**
 * A certificate authority for TLS tests, made with the openssl tool: certificates for servers and
 * clients, and revocation lists.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly folder: string;
  readonly ca: string;
  readonly crl: string;
  #serial = 0;

  constructor(folder: string) {
    this.folder = folder;
    this.ca = path.join(folder, 'ca.pem');
    this.crl = path.join(folder, 'crl.pem');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'index.txt'), '');
    writeFileSync(path.join(folder, 'crlnumber'), '01\n');
    writeFileSync(this.#config, CONFIG.replaceAll('FOLDER', folder));
    const key = this.#key('ca');
    this.#openssl(
      ...['req', '-x509', '-new', '-key', key, '-subj', '/CN=test authority', '-days', '7'],
      ...['-out', this.ca],
    );
    this.writeCrl();
  }

  /** @param names alternative names as openssl writes them, such as `DNS:localhost` */
  issue(name: string, subject: string, names: string): Issued {
    const key = this.#key(name);
    const request = path.join(this.folder, `${name}.csr`);
    const cert = path.join(this.folder, `${name}.pem`);
    const extra = path.join(this.folder, `${name}.ext`);
    writeFileSync(extra, `subjectAltName=${names}\n`);
    this.#openssl('req', '-new', '-key', key, '-subj', subject, '-out', request);
    this.#openssl(
      ...['x509', '-req', '-in', request, '-CA', this.ca, '-CAkey', this.#keyFile('ca')],
      ...['-set_serial', String(++this.#serial), '-days', '7', '-extfile', extra, '-out', cert],
    );
    return { cert, key };
  }

  revoke({ cert }: Issued): void {
    this.#openssl('ca', '-config', this.#config, '-revoke', cert);
    this.writeCrl();
  }

  writeCrl(): void {
    this.#openssl('ca', '-config', this.#config, '-gencrl', '-out', this.crl);
  }

  /** A response of the authority's OCSP service about a certificate. @returns its file */
  attest({ cert }: Issued): string {
    const response = `${cert}.ocsp`;
    this.#openssl(
      ...[
        'ocsp',
        '-index',
        path.join(this.folder, 'index.txt'),
        '-CA',
        this.ca,
        '-issuer',
        this.ca,
      ],
      ...['-rsigner', this.ca, '-rkey', this.#keyFile('ca'), '-ndays', '7', '-cert', cert],
      ...['-respout', response],
    );
    return response;
  }

  get caText(): string {
    return readFileSync(this.ca, 'utf8');
  }

  get #config(): string {
    return path.join(this.folder, 'ca.cnf');
  }

  #keyFile(name: string): string {
    return path.join(this.folder, `${name}.key`);
  }

  #key(name: string): string {
    const file = this.#keyFile(name);
    this.#openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file);
    return file;
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

const CONFIG = `[ca]
default_ca = own
[own]
database = FOLDER/index.txt
crlnumber = FOLDER/crlnumber
certificate = FOLDER/ca.pem
private_key = FOLDER/ca.key
default_md = sha256
default_crl_days = 7
`;

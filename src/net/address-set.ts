/** Addresses and ranges as an operator writes them: 10.0.0.7, 10.0.0.0/8, 2001:db8::/32. */
import { BlockList, isIP } from 'node:net';
import { BrokerError } from '#kit';
import { unmapped } from './address.ts';

export class AddressSet {
  readonly isEmpty: boolean;
  readonly #list = new BlockList();

  /** @throws BrokerError `bad-configuration` for a text that is neither */
  constructor(option: string, texts: readonly string[]) {
    this.isEmpty = texts.length === 0;
    for (const text of texts) {
      const [address = '', bits] = text.split('/');
      const family = isIP(address);
      const most = family === 4 ? 32 : 128;
      const count = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : 999;
      if (family === 0 || count > most) {
        throw new BrokerError(
          'bad-configuration',
          `${option}: "${text}" is neither an address nor a range such as 10.0.0.0/8.`,
        );
      }
      this.#list.addSubnet(address, count, family === 4 ? 'ipv4' : 'ipv6');
    }
  }

  has(address: string): boolean {
    const plain = unmapped(address);
    const family = isIP(plain);
    return family !== 0 && this.#list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
  }
}

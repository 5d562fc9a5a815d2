/** Who acts: the one identity that every protocol hands to the broker. */
export interface Principal {
  readonly name: string;
  /** Small number that stored records carry; 0 is the server itself. */
  readonly id: number;
  readonly anonymous: boolean;
  /** May do everything. */
  readonly superuser: boolean;
}

export const SERVER_PRINCIPAL: Principal = {
  name: 'server',
  id: 0,
  anonymous: false,
  superuser: true,
};

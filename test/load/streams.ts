/** Makes streams with settings of their own, by the admin API as a user would. */
import { ADMIN, type Server } from '../clients/server.ts';

export interface StreamWish {
  readonly name: string;
  readonly partitions?: number;
  readonly durability?: 'memory' | 'async' | 'fsync';
  readonly retentionBytes?: number;
  readonly retentionMs?: number;
}

export async function createStream(server: Server, wish: StreamWish): Promise<void> {
  const response = await fetch(`http://${server.address('admin')}/api/v1/streams`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${ADMIN.user}:${ADMIN.password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(wish),
  });
  if (!response.ok) throw new Error(`stream ${wish.name}: ${await response.text()}`);
}

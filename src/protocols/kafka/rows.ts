/**
 * What a message row may say, and the TypeScript types that follow from rows. A row is one field of
 * a Kafka message; `compile.ts` turns rows into readers and writers per version. Nothing runs here.
 */

type ScalarName =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint16'
  | 'uint32'
  | 'float64'
  | 'string'
  | 'bytes'
  | 'records'
  | 'uuid';

interface RowBasis {
  /** Camel-case name of the Kafka protocol guide. */
  readonly name: string;
  /** First and last version that has the field. Default: all. */
  readonly since?: number;
  readonly until?: number;
  /** First version in which the value may be null. Default: never. */
  readonly nullable?: number;
  /** Tag number (KIP-482): the field is then written only when it differs from its default. */
  readonly tag?: number;
  /**
   * Value where a version lacks the field, and when a writer is given none. A row without it must
   * be given to the writer, and reads as zero, empty or false where the version lacks it.
   */
  readonly default?: number | string | boolean | null;
}

export type Row =
  | (RowBasis & { readonly type: ScalarName })
  | (RowBasis & { readonly type: 'struct'; readonly of: Rows })
  | (RowBasis & { readonly type: 'array'; readonly of: Rows | ScalarName });

export type Rows = readonly Row[];

/** One API: request, response and what the server supports of it. */
export interface MessagePair {
  readonly key: number;
  readonly name: string;
  /** First and last version that is served. */
  readonly versions: readonly [number, number];
  /** First version with compact lengths and tagged fields. */
  readonly flexible: number;
  /** ApiVersions tells this lower bound instead of the true one (KAFKA-18659). */
  readonly advertisedFrom?: number;
  readonly request: Rows;
  readonly response: Rows;
}

interface DecodedScalars {
  bool: boolean;
  int8: number;
  int16: number;
  int32: number;
  int64: number;
  uint16: number;
  uint32: number;
  float64: number;
  string: string;
  bytes: Buffer;
  records: Buffer;
  uuid: string;
}

interface EncodableScalars extends Omit<DecodedScalars, 'records' | 'bytes'> {
  bytes: Uint8Array;
  /** Several chunks go out one after the other, without being copied. */
  records: Uint8Array | readonly Uint8Array[];
}

type OrNull<R> = R extends { readonly nullable: number } ? null : never;

type DecodedValue<R> = R extends { readonly type: 'array'; readonly of: infer Of }
  ? Of extends ScalarName
    ? DecodedScalars[Of][]
    : Of extends Rows
      ? Decoded<Of>[]
      : never
  : R extends { readonly type: 'struct'; readonly of: infer Of extends Rows }
    ? Decoded<Of>
    : R extends { readonly type: infer Type extends ScalarName }
      ? DecodedScalars[Type]
      : never;

/** What a reader gives: every field of every version is there. */
export type Decoded<Of extends Rows> = {
  [R in Of[number] as R['name']]: DecodedValue<R> | OrNull<R>;
};

type EncodableValue<R> = R extends { readonly type: 'array'; readonly of: infer Of }
  ? Of extends ScalarName
    ? readonly EncodableScalars[Of][]
    : Of extends Rows
      ? readonly Encodable<Of>[]
      : never
  : R extends { readonly type: 'struct'; readonly of: infer Of extends Rows }
    ? Encodable<Of>
    : R extends { readonly type: infer Type extends ScalarName }
      ? EncodableScalars[Type]
      : never;

type Optional =
  | { readonly default: unknown }
  | { readonly tag: number }
  | { readonly type: 'array'; readonly since: number }
  | { readonly type: 'array'; readonly until: number };

/**
 * What a writer takes: rows with a default, tagged rows, and arrays that only some versions have
 * (empty then) may be left out.
 */
export type Encodable<Of extends Rows> = {
  readonly [R in Exclude<Of[number], Optional> as R['name']]: EncodableValue<R> | OrNull<R>;
} & {
  readonly [R in Extract<Of[number], Optional> as R['name']]?: EncodableValue<R> | OrNull<R>;
};

export type RequestOf<Pair extends MessagePair> = Decoded<Pair['request']>;
export type ResponseOf<Pair extends MessagePair> = Encodable<Pair['response']>;

export const ZERO_UUID = '00000000-0000-0000-0000-000000000000';

// The tables that `people` writes (spec/operator-access.md).
import type { Generated } from 'kysely';

export interface PeopleTables {
  api_token: ApiTokenTable;
  person: PersonRow;
  approval: ApprovalRow;
  request_key: RequestKeyRow;
}

export interface ApiTokenRow {
  readonly sha256: string;
  readonly name: string;
  readonly scopes: string;
  readonly created_at: number;
  readonly expires_at: number;
  readonly revoked_at: number | null;
  /** Its owner; null for a service. */
  readonly person: string | null;
  /** The token that made this one, for the same holder or for a service. When the maker ends, this token ends too. */
  readonly derived_from: string | null;
  readonly last_used_from: string | null;
  /** Names of roles, separated by blanks; the code defines their meaning. */
  readonly roles: string;
  /** The name in the audit log. */
  readonly created_by: string;
  readonly last_used_at: number | null;
  /** 1 for the token that `hub init` made. */
  readonly bootstrap: number;
  /** The hash of the token that a person claimed in place of a bootstrap. */
  readonly claimed_as: string | null;
}

/** The values that the store sets for a new token. */
export interface ApiTokenTable extends Omit<
  ApiTokenRow,
  'person' | 'derived_from' | 'last_used_from' | 'last_used_at' | 'bootstrap' | 'claimed_as'
> {
  readonly person: Generated<string | null>;
  readonly derived_from: Generated<string | null>;
  readonly last_used_from: Generated<string | null>;
  readonly last_used_at: Generated<number | null>;
  readonly bootstrap: Generated<number>;
  readonly claimed_as: Generated<string | null>;
}

export interface PersonRow {
  readonly name: string;
  readonly added_at: number;
  readonly disabled_at: number | null;
  readonly disabled_reason: string | null;
}

/** A root operation that waits for its second person, or had one. */
export interface ApprovalRow {
  readonly id: string;
  /** SHA-256 of method, path and body, hex (spec/operator-access.md). */
  readonly digest: string;
  readonly operation: string;
  /** The scope that both people's tokens must have. */
  readonly scope: string;
  readonly method: string;
  readonly path: string;
  /** Canonical JSON. */
  readonly body: string;
  readonly person: string;
  readonly token_sha256: string;
  readonly requested_at: number;
  readonly expires_at: number;
  readonly state: 'waiting' | 'approved' | 'executed' | 'failed' | 'refused';
  readonly decided_by: string | null;
  readonly decided_at: number | null;
  readonly reason: string | null;
  readonly answered_status: number | null;
  /** The address of the request; null for a request from before this was stored. */
  readonly address: string | null;
}

/** A request with an Idempotency-Key that was carried out (spec/idempotency-key.md). */
export interface RequestKeyRow {
  readonly id: string;
  /** The person, or the service token. */
  readonly caller: string;
  /** Which attempt recorded the key: random. */
  readonly request: string;
  readonly fingerprint: string;
  readonly begun_at: number;
  /** Sealed under the key; null while there is none. */
  readonly answer: Uint8Array | null;
}

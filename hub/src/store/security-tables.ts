// The one list of the store's tables: those whose rows decide who may do what, which the audit log vouches for row by row, and the others, each
// with the reason why nobody gains by changing it (docs/design/security-state.md).
import type { Tables } from './schema.ts';

export interface SecurityTable {
  readonly table: string;
  /** The columns that the log vouches for; the primary key is among them. */
  readonly columns: readonly string[];
  /** Those of them that hold floating-point numbers. */
  readonly reals?: readonly string[];
  /** Only rows with this value in this column. */
  readonly where?: { readonly column: string; readonly value: string };
  /** `denies`: a missing row permits less, so the hub starts without it. `permits`: it may permit more, so the hub does not start. */
  readonly absence: 'denies' | 'permits';
}

type Columns = { readonly [Name in keyof Tables]?: readonly (keyof Tables[Name] & string)[] };

const denied = {
  api_token: [
    'sha256',
    'name',
    'scopes',
    'created_at',
    'expires_at',
    'revoked_at',
    'person',
    'derived_from',
    'roles',
    'created_by',
    'bootstrap',
    'claimed_as',
  ],
  approval: [
    'id',
    'digest',
    'operation',
    'scope',
    'method',
    'path',
    'body',
    'person',
    'token_sha256',
    'requested_at',
    'expires_at',
    'state',
    'decided_by',
    'decided_at',
    'reason',
    'answered_status',
    'address',
  ],
  publisher: ['fingerprint', 'name', 'public_key', 'added_at'],
  enrolment_token: ['sha256', 'device_id', 'tier', 'created_at', 'expires_at', 'used_by', 'made_by', 'revoked_at'],
  enrolment_group_token: [
    'sha256',
    'enrolment_group',
    'created_at',
    'expires_at',
    'uses',
    'uses_most',
    'made_by',
    'revoked_at',
  ],
  device_secret: ['id', 'device_id', 'wrapped_secret', 'created_at', 'expires_at'],
  workload_declaration: ['target_kind', 'target', 'name', 'description', 'declared_at'],
} as const satisfies Columns;

const permitted = {
  publisher_end: ['fingerprint', 'ends_at', 'note', 'ordered_at'],
  person: ['name', 'added_at', 'disabled_at', 'disabled_reason'],
  witness_policy: ['version', 'document', 'applied_at', 'applied_by'],
  policy: ['version', 'digest', 'text', 'applied_at', 'meaning', 'tests', 'applied_by'],
  country_network: ['network', 'country'],
  address_block: ['network', 'reason', 'blocked_by', 'blocked_at', 'expires_at'],
  ima_policy: ['name', 'version', 'document', 'signature', 'publisher', 'published_at', 'withdrawn_at'],
  reference_values: ['name', 'version', 'document', 'signature', 'publisher', 'published_at', 'withdrawn_at'],
  root_authority: [
    'sha256',
    'generation',
    'status',
    'der',
    'new_with_old',
    'old_with_new',
    'list',
    'added_at',
    'overlap_ends_at',
  ],
  issuing_authority: [
    'id',
    'class',
    'status',
    'root_sha256',
    'request',
    'der',
    'added_at',
    'activates_at',
    'activated_at',
    'ended_at',
    'revocation_reason',
    'final_list',
  ],
  enrolment_group: [
    'name',
    'kind',
    'description',
    'disabled_reason',
    'terms',
    'anchor_sha256',
    'subject_sha256',
    'certificate',
    'devices',
    'devices_most',
    'created_at',
  ],
  enrolment_group_join: ['enrolment_group', 'device_group'],
  enrolment_listing: ['kind', 'sha256', 'enrolment_group', 'device_id'],
  model_group: ['model', 'group_name', 'assigned_at'],
  model_release: [
    'name',
    'version',
    'state',
    'manifest',
    'manifest_digest',
    'signature',
    'publisher',
    'wrapped_key',
    'created_at',
    'published_at',
  ],
  device: [
    'id',
    'tier',
    'state',
    'state_reason',
    'identity',
    'root_sha256',
    'witness_key',
    'enrolled_at',
    'disabled_reason',
    'site',
    'enrolment_group',
    'generation',
    'next_root_sha256',
    'product',
    'witness_origin',
  ],
  device_idevid: [
    'device_id',
    'sha256',
    'issuer_sha256',
    'anchor_sha256',
    'serial_folded',
    'serial_number',
    'issuer',
    'hardware_type',
    'hardware_serial',
    'der',
    'proven_at',
  ],
  device_tag: ['device_id', 'key', 'value'],
  device_document: ['device_id', 'side', 'version', 'document', 'updated_at'],
  device_attribute: ['device_id', 'side', 'path', 'text_value', 'number_value'],
  device_group: ['name', 'description', 'filter', 'created_at'],
  device_group_member: ['group_name', 'device_id'],
  expected_device: ['id', 'root_sha256', 'imported_at', 'site'],
  blocked_root: ['root_sha256', 'reason', 'blocked_at'],
  witness_key: ['key', 'device_id'],
  device_hybrid_key: ['device_id', 'public_key', 'registered_at'],
  post_quantum_rule: ['version', 'document', 'applied_at', 'applied_by'],
  former_identity: [
    'device_id',
    'generation',
    'tier',
    'identity',
    'root_sha256',
    'witness_key',
    'enrolled_at',
    'ended_at',
    'reason',
  ],
  certificate: [
    'serial',
    'device_id',
    'sha256',
    'not_before',
    'not_after',
    'revoked_at',
    'revocation_reason',
    'lineage',
    'renewal',
    'workload',
    'issuer',
    'spki_sha256',
    'generation',
  ],
  revocation: ['version', 'device_id', 'serial'],
  revocation_state: ['id', 'version'],
  site: [
    'name',
    'description',
    'time_zone',
    'networks',
    'country',
    'latitude',
    'longitude',
    'radius_metres',
    'zone',
    'created_at',
  ],
  hub_name: ['name', 'added_at'],
  device_maker: ['device_id', 'kind', 'maker', 'judged_at', 'notes'],
  device_maker_path: ['device_id', 'kind', 'sha256'],
  vendor_root: [
    'kind',
    'sha256',
    'spki_sha256',
    'role',
    'maker',
    'subject',
    'issuer',
    'not_before',
    'not_after',
    'der',
    'source',
    'added_at',
    'added_by',
    'removed_at',
  ],
  workload: ['device_id', 'name', 'registered_at', 'disabled_reason'],
} as const satisfies Columns;

/** What a device reports is its own claim, and changes often; what an operator desires decides. */
const desiredOnly: ReadonlySet<string> = new Set(['device_document', 'device_attribute']);

const reals: Columns = { device_attribute: ['number_value'], site: ['latitude', 'longitude'] };

function realsOf(table: string): Pick<SecurityTable, 'reals'> {
  const names = new Map(Object.entries(reals)).get(table);
  return names === undefined ? {} : { reals: names };
}

function listed(columns: Columns, absence: SecurityTable['absence']): readonly SecurityTable[] {
  return Object.entries(columns).map(([table, names]) => ({
    table,
    columns: names,
    absence,
    ...realsOf(table),
    ...(desiredOnly.has(table) ? { where: { column: 'side', value: 'desired' } } : {}),
  }));
}

/** Tables whose rows the log vouches for. */
const replayed: readonly SecurityTable[] = [...listed(denied, 'denies'), ...listed(permitted, 'permits')];

/** Every other table, with the reason why the log does not vouch for its rows. */
const others = {
  access_decision: 'a record of decisions: nothing is decided by it',
  alert: 'it informs people; the log has each alert too',
  audit_checkpoint: 'each is signed by the log key',
  audit_log: 'a log ends and begins with an entry of its own, and its key is on the list of the root',
  audit_entry: 'each is under a signed checkpoint, or has a code of the hub',
  device_history: 'a view of the log for people',
  device_key_list: 'what devices report of the key lists they know',
  device_model: 'what devices report of their models',
  device_root: 'what devices report of the roots they know',
  evidence_content: 'evidence of keys that were given, found by its digest in the log',
  expiry_alarm: 'which alarms were raised already',
  hub_key: 'each key that signs is on the list of the root, and readers take no other',
  hub_certificate: "the hub's own certificates, each signed by its CA",
  hub_time: 'the latest time that was seen; it changes with every second',
  hub_node: 'nodes that run now',
  ima_log: 'a position that the next quote proves or refutes',
  key_double: 'an alert that is still to be raised',
  key_list: 'each is signed by the root',
  lease: 'a record of keys that were given, each with its signed receipt; a row gives no key',
  model_file: "digests that the publisher's signed manifest has as well",
  presence: 'connections that are open now',
  refused_row: 'rows that were removed, kept for an investigation',
  release_evidence: 'evidence of keys that were given, with digests in the log',
  release_evidence_part: 'evidence of keys that were given, with digests in the log',
  security_row: 'the list of digests itself: the log has the digest of the list',
  security_state: 'where the newest state entry is: it is searched for where this is wrong',
  tpm_clock: 'counters that the next quote proves or refutes',
  token_rival: 'attempts that are being weighed now',
  used_token: 'replay protection for 300 seconds; it changes with every request',
  value_double: 'an alert that is still to be raised',
  vendor_root_state: 'a counter that makes nodes read again',
  workload_history: 'a view of the log for people',
} as const satisfies Readonly<Record<string, string>>;

/** Every table of the store is in one of the two. */
export const tableList = { replayed, others };

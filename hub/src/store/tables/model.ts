// The tables that `model` writes.

export interface ModelTables {
  device_model: DeviceModelRow;
  model_group: ModelGroupRow;
  model_release: ModelReleaseRow;
  model_file: ModelFileRow;
}

export interface ModelReleaseRow {
  readonly name: string;
  readonly version: string;
  readonly state: 'uploading' | 'published' | 'withdrawn';
  readonly manifest: Uint8Array;
  readonly manifest_digest: string;
  readonly signature: string;
  readonly publisher: string;
  /** The model key, wrapped under the platform key. */
  readonly wrapped_key: Uint8Array;
  readonly created_at: number;
  readonly published_at: number | null;
}

export interface ModelFileRow {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly sealed_sha256: string;
  readonly sealed_size: number;
}

export interface DeviceModelRow {
  readonly device_id: string;
  readonly model: string;
  readonly state: 'serving' | 'ready' | 'locked';
  /** The version that it holds; null where it holds none. */
  readonly version: string | null;
  readonly manifest_digest: string | null;
  /** The fault, and its release; all null while there is none. */
  readonly fault_version: string | null;
  readonly fault_digest: string | null;
  readonly fault_code: string | null;
  readonly fault_place: string | null;
  readonly fault_message: string | null;
  readonly fault_attempts: number | null;
  /** `final`: not tried again until another release is offered, or an operator orders it. */
  readonly fault_kind: 'final' | 'passing' | null;
  /** Since when this fault exists with this release. */
  readonly fault_since: number | null;
  /** Number of the newest order to try again; 0 for none. */
  readonly retry: number;
  /** Number of the newest order that the device followed. */
  readonly retried: number;
  readonly changed_at: number;
}

export interface ModelGroupRow {
  readonly model: string;
  readonly group_name: string;
  readonly assigned_at: number;
}

// Where the hub keeps its private keys: in separate files (plain) or together in one sealed file (spec/platform-secrets.md). Both hold the
// same entries under the same names, so that a plain hub can be sealed later.

/** Names of entries are names of files where the keys are plain. */
export const keyNamePattern = /^[a-z][a-z0-9-]{0,40}\.(?:pem|key)$/;

export interface KeyStore extends AsyncDisposable {
  readonly protection: 'plain' | 'sealed';
  names(): Promise<readonly string[]>;
  /** A copy, which the caller zeroes after use; undefined when there is no such entry. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Adds an entry and resolves once it is durable. An existing entry is never overwritten: `conflict`. */
  add(name: string, secret: Uint8Array): Promise<void>;
  /** Removes an entry; does nothing when there is none. */
  remove(name: string): Promise<void>;
}

// One loaded PKCS#11 module. C_Initialize applies to the whole process (PKCS#11 2.40 section 5.4), so all tokens of a module share one of
// these, and their calls run one after the other: many modules use one chip on one bus and are not thread-safe.
import { messageOf } from '@edgekeep/core/message-of';
import { realpath } from 'node:fs/promises';
import { HardwareError } from '../error.ts';
import { Serial } from '@edgekeep/host/serial';
import { loadBinding } from './binding.ts';
import type { Binding, FunctionList } from './cryptoki.ts';
import { hardwareErrorOf, returnValueOf } from './cryptoki-error.ts';

/** A function list and its constants. */
export interface Cryptoki {
  readonly api: FunctionList;
  readonly binding: Binding;
}

interface Loaded {
  readonly cryptoki: Cryptoki;
  readonly serial: Serial;
  /** False when other code of this process had initialised the module: then that code finalises it. */
  readonly ours: boolean;
  users: number;
}

/** By real path. Opening and closing of modules take turns, so that two users never load one twice. */
const loaded = new Map<string, Loaded>();
const turns = new Serial();

export class Pkcs11Module {
  readonly #path: string;
  readonly #loaded: Loaded;
  #closed = false;

  private constructor(path: string, use: Loaded) {
    this.#path = path;
    this.#loaded = use;
  }

  /** Throws `pkcs11-binding-missing` or `pkcs11-module-failed`. */
  static async open(path: string): Promise<Pkcs11Module> {
    const binding = await loadBinding();
    const real = await realpath(path).catch((cause: unknown) => {
      throw new HardwareError('pkcs11-module-failed', `there is no PKCS#11 module ${path}`, { cause });
    });
    return turns.run(async () => {
      const use = loaded.get(real) ?? load(binding, real);
      use.users += 1;
      loaded.set(real, use);
      return new Pkcs11Module(real, use);
    });
  }

  /** Runs one operation while no other of this module runs. Every error becomes a HardwareError that names the operation. */
  run<Result>(doing: string, operation: (cryptoki: Cryptoki) => Promise<Result> | Result): Promise<Result> {
    return this.#loaded.serial.run(async () => {
      try {
        return await operation(this.#loaded.cryptoki);
      } catch (cause) {
        throw hardwareErrorOf(cause, doing);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#loaded.serial.idle();
    await turns.run(async () => {
      this.#loaded.users -= 1;
      if (this.#loaded.users > 0) return;
      loaded.delete(this.#path);
      const { api } = this.#loaded.cryptoki;
      if (this.#loaded.ours) api.C_Finalize();
      api.close();
    });
  }
}

function load(binding: Binding, path: string): Loaded {
  const api = new binding.PKCS11();
  try {
    api.load(path);
  } catch (cause) {
    const message = messageOf(cause);
    throw new HardwareError('pkcs11-module-failed', `not a PKCS#11 module of this machine: ${message}`, { cause });
  }
  try {
    return { cryptoki: { api, binding }, serial: new Serial(), ours: initialize(api, binding), users: 0 };
  } catch (cause) {
    api.close();
    const message = `${path} does not initialize (${returnValueOf(cause) ?? String(cause)}): its configuration, its driver, its device's permissions`;
    throw new HardwareError('pkcs11-module-failed', message, { cause });
  }
}

// Signatures run on a thread of the pool, still one at a time; for a module without locks of its own, the call is repeated without that
// flag.
function initialize(api: FunctionList, binding: Binding): boolean {
  try {
    api.C_Initialize({ flags: binding.CKF_OS_LOCKING_OK });
    return true;
  } catch (error) {
    const value = returnValueOf(error);
    if (value === 'CKR_CRYPTOKI_ALREADY_INITIALIZED') return false;
    if (value !== 'CKR_CANT_LOCK' && value !== 'CKR_ARGUMENTS_BAD') throw error;
  }
  api.C_Initialize();
  return true;
}

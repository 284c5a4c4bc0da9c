// The part of the native binding pkcs11js that this package uses, declared here: the package is optional, and types, lint and tests must
// work without it. Names and meanings are those of PKCS#11 2.40.

export type Handle = Buffer;

export interface Attribute {
  readonly type: number;
  readonly value?: number | boolean | string | Buffer;
}

export type Template = Attribute[];

export interface Mechanism {
  readonly mechanism: number;
  readonly parameter?: Buffer | EcdhParameter;
}

/** CK_ECDH1_DERIVE_PARAMS; `type` is CK_PARAMS_EC_DH. */
export interface EcdhParameter {
  readonly type: number;
  readonly kdf: number;
  readonly publicData: Buffer;
}

/** CK_TOKEN_INFO: texts are padded with spaces. */
export interface TokenInfo {
  readonly label: string;
  readonly manufacturerID: string;
  readonly model: string;
  readonly serialNumber: string;
  readonly flags: number;
}

/** One loaded module. Every function throws an error whose message has the return value, `CKR_…`. */
export interface FunctionList {
  load(path: string): void;
  close(): void;
  C_Initialize(options?: { readonly flags: number }): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): TokenInfo;
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_CloseAllSessions(slot: Handle): void;
  C_Login(session: Handle, userType: number, pin: string): void;
  C_CreateObject(session: Handle, template: Template): Handle;
  C_DestroyObject(session: Handle, object: Handle): void;
  C_FindObjectsInit(session: Handle, template: Template): void;
  C_FindObjects(session: Handle, maxObjects: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(session: Handle, object: Handle, template: Template): { type: number; value: Buffer }[];
  C_SetAttributeValue(session: Handle, object: Handle, template: Template): void;
  C_GenerateKey(session: Handle, mechanism: Mechanism, template: Template): Handle;
  C_GenerateKeyPairAsync(
    session: Handle,
    mechanism: Mechanism,
    publicTemplate: Template,
    privateTemplate: Template,
  ): Promise<{ publicKey: Handle; privateKey: Handle }>;
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_SignAsync(session: Handle, data: Buffer, signature: Buffer): Promise<Buffer>;
  C_DeriveKey(session: Handle, mechanism: Mechanism, key: Handle, template: Template): Handle;
  C_DeriveKeyAsync(session: Handle, mechanism: Mechanism, key: Handle, template: Template): Promise<Handle>;
  C_WrapKey(session: Handle, mechanism: Mechanism, wrappingKey: Handle, key: Handle, wrapped: Buffer): Buffer;
  C_GenerateRandom(session: Handle, bytes: Buffer): Buffer;
}

const constantNames = [
  'CKA_CERTIFICATE_TYPE',
  'CKA_CLASS',
  'CKA_DERIVE',
  'CKA_EC_PARAMS',
  'CKA_EC_POINT',
  'CKA_EXTRACTABLE',
  'CKA_ID',
  'CKA_ISSUER',
  'CKA_KEY_TYPE',
  'CKA_LABEL',
  'CKA_NEVER_EXTRACTABLE',
  'CKA_PRIVATE',
  'CKA_SENSITIVE',
  'CKA_SERIAL_NUMBER',
  'CKA_SIGN',
  'CKA_SUBJECT',
  'CKA_TOKEN',
  'CKA_VALUE',
  'CKA_VALUE_LEN',
  'CKA_VERIFY',
  'CKA_WRAP',
  'CKC_X_509',
  'CKD_NULL',
  'CKF_LOGIN_REQUIRED',
  'CKF_OS_LOCKING_OK',
  'CKF_RW_SESSION',
  'CKF_SERIAL_SESSION',
  'CKF_TOKEN_INITIALIZED',
  'CKF_USER_PIN_FINAL_TRY',
  'CKF_USER_PIN_LOCKED',
  'CKK_EC',
  'CKK_GENERIC_SECRET',
  'CKM_AES_KEY_GEN',
  'CKM_AES_KEY_WRAP_PAD',
  'CKM_ECDH1_DERIVE',
  'CKM_ECDSA',
  'CKM_EC_KEY_PAIR_GEN',
  'CKO_CERTIFICATE',
  'CKO_PRIVATE_KEY',
  'CKO_PUBLIC_KEY',
  'CKO_SECRET_KEY',
  'CKU_USER',
  'CK_PARAMS_EC_DH',
] as const;

export interface Binding extends Readonly<Record<(typeof constantNames)[number], number>> {
  readonly PKCS11: new () => FunctionList;
}

/** Whether a loaded package has the class and every constant used here. */
export function isBinding(loaded: object): loaded is Binding {
  if (!('PKCS11' in loaded) || typeof loaded.PKCS11 !== 'function') return false;
  const constants = new Map<string, unknown>(Object.entries(loaded));
  return constantNames.every((name) => typeof constants.get(name) === 'number');
}

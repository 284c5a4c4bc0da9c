// Which routes take the header Idempotency-Key (spec/idempotency-key.md): those that change something for a caller with a token, and whose body is
// JSON or absent.

interface KeyedRoute {
  readonly method: string | readonly string[];
  readonly config?: { readonly who?: string } | undefined;
  readonly schema?: { readonly takes?: string } | undefined;
}

export const requestKeyHeader = 'Idempotency-Key';

/** Its form, also in the OpenAPI document: 16 to 128 visible characters, with or without the quotation marks of RFC 9651. */
export const requestKeyPattern = /^("?)([!#-+\--[\]-~]{16,128})\1$/;

/** The methods that change something; requests of the others may be repeated as they are. */
export function isChanging(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'DELETE';
}

export function takesRequestKey({ method, config, schema }: KeyedRoute): boolean {
  return isChanging(String(method)) && config?.who !== undefined && schema?.takes === undefined;
}

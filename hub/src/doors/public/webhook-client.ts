// The way to the receiver of a webhook: one HTTPS POST on a connection of its own, with limits on time and on the answer. The other end is a
// stranger's server, and its name was somebody's order.
import { request } from 'node:https';
import type { LookupFunction } from 'node:net';
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import type { PostWebhook } from '../../webhook/sender.ts';
import { type ReceiverAddress, receiverAddresses, type Resolve } from './receiver-address.ts';

/** Standard Webhooks: between 15 and 30 s. */
const TIMEOUT_MS = 20_000;
// Nothing in the body counts; what is longer is cut off.
const ANSWER_BYTES_MAX = 16_384;
const HEADER_BYTES_MAX = 16_384;

const unknownAuthority: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

interface Given {
  readonly permitted: readonly string[];
  readonly resolve?: Resolve;
}

/** `permitted` are the private networks that receivers may be in. */
export function webhookClient({ permitted, resolve }: Given): PostWebhook {
  return async ({ url, headers, body, trustedPem, signal }) => {
    const { host } = parseWebAddress(url);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const addresses = await receiverAddresses(host, permitted, resolve);
    return new Promise((done, reject) => {
      const outgoing = request(
        url,
        {
          method: 'POST',
          headers: { ...headers, 'content-length': body.length, 'user-agent': 'edgekeep' },
          // A connection that is kept would be one to an address of before.
          agent: false,
          lookup: pinned(addresses),
          signal: limit,
          maxHeaderSize: HEADER_BYTES_MAX,
          ...(trustedPem === null ? {} : { ca: trustedPem }),
        },
        (response) => {
          const { statusCode: status = 0, headers: answered } = response;
          // The status has come: what follows it does not count, and is read so that the receiver can end its answer.
          done({ status, retryAfter: answered['retry-after'] });
          let size = 0;
          response.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > ANSWER_BYTES_MAX) response.destroy();
          });
          response.on('error', () => undefined);
        },
      );
      outgoing.on('error', (error) => reject(trustFailure(error) ?? error));
      // An answer that offers another protocol (status 101) is no response and no error to node:http: it only ends the connection.
      outgoing.once('close', () => reject(new Error('it closed the connection without an answer')));
      outgoing.end(body);
    });
  };
}

/** What the operator can do about a certificate of an unknown authority: Node's own words name its command line. */
function trustFailure(error: Error): Error | undefined {
  if (!('code' in error) || !unknownAuthority.has(String(error.code))) return undefined;
  const text =
    'its certificate is not by an authority that the hub trusts for it: add the webhook again with --ca FILE';
  return new Error(text, { cause: error });
}

/** A resolver that knows the checked addresses alone. */
function pinned(addresses: readonly [ReceiverAddress, ...ReceiverAddress[]]): LookupFunction {
  return (_host, options, callback) => {
    if (options.all === true) callback(null, [...addresses]);
    else callback(null, addresses[0].address, addresses[0].family);
  };
}

// A second implementation of ML-DSA, ML-KEM and X-Wing (@noble/post-quantum) as a program: a request as JSON on the standard input, the answer
// as JSON. Bytes are base64.
import { text } from 'node:stream/consumers';
import { ml_dsa44, ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { ml_kem768_x25519 } from '@noble/post-quantum/hybrid.js';

const algorithms = {
  'ml-dsa-44': ml_dsa44,
  'ml-dsa-65': ml_dsa65,
  'ml-kem-768': ml_kem768,
  'x-wing': ml_kem768_x25519,
};
const bytes = (value) => new Uint8Array(Buffer.from(value, 'base64'));
const out = (value) => Buffer.from(value).toString('base64');

const verbs = {
  keygen: ({ algorithm, seed }) => {
    const { publicKey, secretKey } = algorithms[algorithm].keygen(bytes(seed));
    return { publicKey: out(publicKey), secretKey: out(secretKey) };
  },
  sign: ({ algorithm, message, secretKey }) => ({
    signature: out(algorithms[algorithm].sign(bytes(message), bytes(secretKey))),
  }),
  verify: ({ algorithm, message, signature, publicKey }) => ({
    valid: algorithms[algorithm].verify(bytes(signature), bytes(message), bytes(publicKey)),
  }),
  encapsulate: ({ algorithm, publicKey, seed }) => {
    const random = seed === undefined ? undefined : bytes(seed);
    const { cipherText, sharedSecret } = algorithms[algorithm].encapsulate(bytes(publicKey), random);
    return { ciphertext: out(cipherText), sharedSecret: out(sharedSecret) };
  },
  decapsulate: ({ algorithm, ciphertext, secretKey }) => ({
    sharedSecret: out(algorithms[algorithm].decapsulate(bytes(ciphertext), bytes(secretKey))),
  }),
};

const request = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(verbs[request.verb](request)));

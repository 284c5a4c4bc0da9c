// A public witness, written from the text of c2sp.org/tlog-witness: it knows one log, keeps the last tree it cosigned, and answers add-checkpoint.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { cosign } from '@edgekeep/core/audit/cosignature';
import { verifyConsistency } from '@edgekeep/core/audit/merkle';
import {
  encodeNote,
  encodeVerifierKey,
  parseNote,
  verifierKey,
  type VerifierKey,
  verifyNote,
} from '@edgekeep/core/audit/note';
import { signerFromKey } from '@edgekeep/core/signer';

const newSigner = (name: string) => ({ name, signer: signerFromKey(generateKeyPairSync('ed25519').privateKey) });

interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly contentType?: string;
}

/** `larger`: it says that it has seen a larger tree than the log has; `twice`: two lines by its key; `other-protocol`: status 101. */
export type WitnessMode = 'right' | 'broken' | 'false' | 'larger' | 'twice' | 'other-protocol';

export class PublicWitness {
  readonly pem: string;
  readonly #signer = newSigner('witness.example/w1');
  readonly #stranger = newSigner('witness.example/w2');
  readonly #server: Server;
  /** What it cosigned last. */
  #last: { readonly size: number; readonly root: Uint8Array } = { size: 0, root: new Uint8Array(0) };
  /** The log that it knows. */
  log: VerifierKey | undefined;
  /** The `old` sizes that it was sent, and what it answered. */
  readonly seen: string[] = [];
  mode: WitnessMode = 'right';

  private constructor(server: Server, pem: string) {
    this.#server = server;
    this.pem = pem;
  }

  static async open(folder: string): Promise<PublicWitness> {
    const [key, certificate] = [join(folder, 'witness-key.pem'), join(folder, 'witness.pem')];
    const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    });
    const pem = await readFile(certificate, 'utf8');
    const server = createServer({ key: await readFile(key), cert: pem });
    const witness = new PublicWitness(server, pem);
    server.on('request', (request, response) => void witness.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return witness;
  }

  get url(): string {
    const address = this.#server.address();
    return `https://localhost:${typeof address === 'object' ? address?.port : ''}/base`;
  }

  get key(): string {
    return encodeVerifierKey(verifierKey(this.#signer.name, this.#signer.signer.publicKey, 'cosignature-v1'));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isRight = request.method === 'POST' && request.url === '/base/add-checkpoint';
    let answer: Answer = { status: 404 };
    try {
      if (isRight) answer = await this.#answer(await buffer(request));
    } catch {
      // What cannot be read is malformed.
      answer = { status: 400 };
    }
    if (this.mode === 'other-protocol') {
      response.writeHead(101, { connection: 'upgrade', upgrade: 'other' }).end();
      return;
    }
    const { status, body = '', contentType = 'text/plain' } = answer;
    response.writeHead(status, { 'content-type': contentType }).end(body);
  }

  async #answer(body: Buffer): Promise<Answer> {
    const text = body.toString('utf8');
    const end = text.indexOf('\n\n');
    const [old = '', ...lines] = text.slice(0, end).split('\n');
    const answer = await this.#judge(old, lines, text.slice(end + 2));
    this.seen.push(`${old}: ${answer.status}`);
    return answer;
  }

  async #judge(old: string, lines: readonly string[], checkpoint: string): Promise<Answer> {
    if (this.mode === 'broken') return { status: 500 };
    if (this.mode === 'larger')
      return { status: 409, body: `${Number.MAX_SAFE_INTEGER}\n`, contentType: 'text/x.tlog.size' };
    const [, size] = /^old (0|[1-9][0-9]*)$/.exec(old) ?? [];
    if (size === undefined || lines.length > 63) return { status: 400 };
    const note = parseNote(Buffer.from(checkpoint));
    const { origin, size: to, root } = parseCheckpoint(note.text);
    if (this.log === undefined || origin !== this.log.name) return { status: 404 };
    if (verifyNote(note, this.log).kind !== 'verified') return { status: 403 };
    const from = Number(size);
    if (from > to) return { status: 400 };
    if (from !== this.#last.size) return { status: 409, body: `${this.#last.size}\n`, contentType: 'text/x.tlog.size' };
    const proof = lines.map((line) => Buffer.from(line, 'base64'));
    const claim = { from, fromRoot: this.#last.root, to, toRoot: root, proof };
    if (from === 0 ? proof.length > 0 : !verifyConsistency(claim)) return { status: 422 };
    this.#last = { size: to, root };
    const seconds = Math.floor(Date.now() / 1_000);
    const wrong = this.mode === 'false' ? note.text.replace(/\n[0-9]+\n/, '\n1\n') : note.text;
    const signatures = [
      ...(await cosign(note.text, seconds, this.#stranger)),
      ...(await cosign(wrong, seconds, this.#signer)),
      ...(this.mode === 'twice' ? await cosign(note.text, seconds - 1, this.#signer) : []),
    ];
    const whole = Buffer.from(encodeNote({ text: note.text, signatures })).toString('utf8');
    return { status: 200, body: whole.slice(whole.lastIndexOf('\n\n') + 2) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

// Asks public witnesses for cosignatures, as c2sp.org/tlog-witness writes it: `POST <submission prefix>/add-checkpoint` with the size that the witness
// has seen, the proof from there, and the checkpoint that is open for cosignatures. A job does it; nothing waits for a stranger's server.
import { encodeAddCheckpoint } from '@edgekeep/core/audit/add-checkpoint';
import { parseCheckpoint, parseTreeSize } from '@edgekeep/core/audit/checkpoint';
import { parseNote, parseVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import { concat, parseUtf8 } from '@edgekeep/core/bytes';
import { printable } from '@edgekeep/core/canonical/printable';
import { messageOf } from '@edgekeep/core/message-of';
import { Counter, type Registry } from 'prom-client';
import { weighAlert } from '../alert/alerts.ts';
import { publicWitnessRows, savePublicWitness } from '../audit/public-witness-rows.ts';
import type { CosignatureCollector } from '../audit/witness.ts';
import type { Clock } from '../common/clock.ts';
import type { Job, Subject } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import type { PublicWitnessRow } from '../store/tables/audit.ts';
import type { PublicWitnessView } from '@edgekeep/wire/api/audit';

export interface WitnessRequest {
  readonly url: string;
  readonly body: Uint8Array;
  /** The certificates that are trusted for it, PEM; null: the public ones. */
  readonly trustedPem: string | null;
  readonly signal: AbortSignal;
}

export interface WitnessAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface PublicWitnessSettings {
  readonly witness: {
    readonly roundSeconds: number;
    readonly public: readonly { readonly url: string; readonly key: string; readonly trustedPem: string | null }[];
  };
}

interface PublicWitnessDependencies {
  readonly database: Pick<Database, 'read' | 'writeAsHub'>;
  readonly witnesses: Pick<CosignatureCollector, 'offer' | 'hasPublic' | 'acceptPublic' | 'publish'>;
  readonly post: (request: WitnessRequest) => Promise<WitnessAnswer>;
  readonly settings: PublicWitnessSettings;
  readonly clock: Clock;
}

interface Witness {
  readonly url: string;
  readonly key: VerifierKey;
  /** As the settings write it. */
  readonly keyText: string;
  readonly trustedPem: string | null;
}

/** The tree that a witness has seen, as far as is known; a turn corrects it. */
interface Seen {
  size: number;
}

type Outcome = 'cosigned' | 'known' | 'waiting';

// A witness that fails is asked again after twice the time, at last once an hour.
const BACKOFF_SECONDS_MAX = 3_600;
const FAILURES_UNTIL_ALERT = 3;
const PROBLEM_CHARACTERS_MAX = 300;

const unasked = (key: string): PublicWitnessRow => ({
  key,
  seen_size: 0,
  cosigned_size: 0,
  cosigned_at: null,
  asked_at: null,
  failures: 0,
  problem: null,
  next_at: null,
});

export class PublicWitnesses implements Subject {
  readonly #dependencies: PublicWitnessDependencies;
  readonly #list: readonly Witness[];
  readonly #asked = new Counter({
    name: 'edgekeep_public_witness_requests_total',
    help: 'Cosignatures that public witnesses were asked for, by outcome.',
    labelNames: ['witness', 'outcome'],
    registers: [],
  });

  constructor(dependencies: PublicWitnessDependencies) {
    this.#dependencies = dependencies;
    this.#list = dependencies.settings.witness.public.map(({ url, key, trustedPem }) => {
      return { url, key: parseVerifierKey(key), keyText: key, trustedPem };
    });
  }

  get jobs(): readonly Job[] {
    if (this.#list.length === 0) return [];
    return [
      {
        name: 'public-witnesses',
        summary: 'asks public witnesses to cosign the open checkpoint',
        everyMilliseconds: this.#dependencies.settings.witness.roundSeconds * 1_000,
        runsOn: 'one-node',
        run: (signal) => this.#round(signal),
      },
    ];
  }

  readonly metrics = (registry: Registry): void => registry.registerMetric(this.#asked);

  /** Those of the settings, as the store knows them: any node can answer. */
  async list(): Promise<readonly PublicWitnessView[]> {
    const rows = await publicWitnessRows(this.#dependencies.database.read);
    return this.#list.map(({ url, key: { name }, keyText }) => {
      const { cosigned_size, cosigned_at, asked_at, failures, problem, next_at } =
        rows.get(keyText) ?? unasked(keyText);
      return {
        name,
        url,
        cosignedSize: cosigned_size,
        cosignedAt: cosigned_at,
        askedAt: asked_at,
        failures,
        problem,
        nextAt: next_at,
      };
    });
  }

  async #round(signal: AbortSignal): Promise<void> {
    const rows = await publicWitnessRows(this.#dependencies.database.read);
    const rowOf = ({ keyText }: Witness) => rows.get(keyText) ?? unasked(keyText);
    await Promise.all(this.#list.map((each) => this.#turn(each, rowOf(each), signal)));
  }

  async #turn(witness: Witness, row: PublicWitnessRow, signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#dependencies;
    const nowMs = clock();
    if (nowMs < (row.next_at ?? 0) || signal.aborted) return;
    const { name } = witness.key;
    const seen: Seen = { size: row.seen_size };
    try {
      const outcome = await this.#ask(witness, seen, signal);
      this.#asked.inc({ witness: name, outcome });
      if (outcome !== 'cosigned') return;
      const right = { failures: 0, problem: null, next_at: null };
      const { size } = seen;
      await this.#keep({ ...row, ...right, seen_size: size, cosigned_size: size, cosigned_at: nowMs, asked_at: nowMs });
      await this.#weigh(witness, undefined);
    } catch (error) {
      if (signal.aborted) return;
      this.#asked.inc({ witness: name, outcome: 'failed' });
      const failures = row.failures + 1;
      const seconds = Math.min(BACKOFF_SECONDS_MAX, settings.witness.roundSeconds * 2 ** failures);
      const problem = printable(messageOf(error), PROBLEM_CHARACTERS_MAX);
      const next = { seen_size: seen.size, asked_at: nowMs, next_at: clock() + seconds * 1_000 };
      await this.#keep({ ...row, ...next, failures, problem });
      if (failures >= FAILURES_UNTIL_ALERT) await this.#weigh(witness, problem);
    }
  }

  async #keep(row: PublicWitnessRow): Promise<void> {
    const listed = this.#list.map(({ keyText }) => keyText);
    await this.#dependencies.database.writeAsHub((trx) => savePublicWitness(trx, row, listed));
  }

  /** A witness that saw another size says so once (409); then it is asked again from there. */
  async #ask(witness: Witness, seen: Seen, signal: AbortSignal): Promise<Outcome> {
    const { witnesses, post, clock } = this.#dependencies;
    for (const isLast of [false, true]) {
      const nowSeconds = Math.floor(clock() / 1_000);
      const offer = await witnesses.offer(seen.size, nowSeconds);
      if (offer.kind === 'refused') {
        // Its word may have been wrong: the next turn asks for it again.
        seen.size = 0;
        throw new RangeError(`the witness: ${offer.reasons.join('; ')}`);
      }
      const { oldSize, checkpoint, consistency: proof } = offer;
      const known = witnesses.hasPublic(witness.key.name, checkpoint);
      if (known !== 'missing') return known;
      const body = encodeAddCheckpoint({ oldSize, proof, checkpoint });
      const { url, trustedPem } = witness;
      const answer = await post({ url: `${url}/add-checkpoint`, body, trustedPem, signal });
      if (answer.status === 409 && isTreeSize(answer) && !isLast) {
        seen.size = parseTreeSize(parseUtf8(answer.body, 'tree size').replace(/\n$/, ''));
        continue;
      }
      if (answer.status !== 200) throw new RangeError(`it answered ${answer.status}${meanings[answer.status] ?? ''}`);
      // The protocol's way: the lines of the answer follow those of the checkpoint.
      const note = parseNote(concat(checkpoint, answer.body));
      const verdict = witnesses.acceptPublic(witness.key, note, nowSeconds);
      if (verdict.kind === 'refused') throw new RangeError(verdict.reasons.join('; '));
      seen.size = parseCheckpoint(note.text).size;
      if (verdict.quorum) await witnesses.publish();
      return 'cosigned';
    }
    throw new RangeError('it names another size each time');
  }

  async #weigh({ key: { name } }: Witness, problem: string | undefined): Promise<void> {
    const { database, clock } = this.#dependencies;
    const about = { kind: 'public-witness', subject: { part: `witness:${name}` }, nowMs: clock() } as const;
    const state =
      problem === undefined
        ? { settled: 'it cosigned a checkpoint' }
        : ({
            severity: 'medium',
            title: `the public witness ${name} does not cosign: ${problem}`,
            data: { witness: name },
          } as const);
    await weighAlert(database, about, state);
  }
}

const meanings: Readonly<Record<number, string>> = {
  400: ': the request is malformed',
  403: ': no signature is by a key that it trusts for this log',
  404: ': it does not know this log',
  409: ': it has seen another tree of this log',
  422: ': the proof does not verify',
};

function isTreeSize({ contentType }: WitnessAnswer): boolean {
  return contentType.split(';')[0]?.trim().toLowerCase() === 'text/x.tlog.size';
}

// The messages between agent and guard: JSON values, one per line (guard-frames.ts), strict at both ends. No message contains an input, an
// output or a key; files are passed as inherited descriptors, or as bytes after the order that names them. Follows spec/guard.md section 5.
import { z } from 'zod';
import { guardSettingsSchema } from './guard-settings.ts';

const statisticsReasons = [
  'brightness-low',
  'brightness-high',
  'contrast-low',
  'contrast-high',
  'noise-low',
  'noise-high',
  'values-out-of-range',
] as const;

/** Why an image was not simply accepted (spec/guard.md section 4). */
const verdictReasons = [
  ...statisticsReasons,
  'confidence-low',
  'scores-invalid',
  'fallback-missing',
  'fallback-scores-invalid',
  'fallback-confidence-low',
  'fallback-disagrees',
  'fallback-agrees',
] as const;

export type StatisticsReason = (typeof statisticsReasons)[number];
export type VerdictReason = (typeof verdictReasons)[number];

// A manifest lists a model, its twin, a fallback, its twin and external data; more descriptors than this is a mistake.
const FILES_MAX = 64;
const TEXT_MAX = 1024;
const DOORS_MAX = 2;
const count = z.int().min(0);

const guardFile = z.strictObject({
  path: z.string().min(1).max(TEXT_MAX),
  role: z.enum(['primary', 'fallback', 'data']),
  mediaType: z.string().min(1).max(TEXT_MAX),
  /** Bytes; the guard reads exactly this many from offset 0. */
  size: z.int().min(1),
  /** Number of the inherited descriptor in the guard process; left out: the bytes follow the order on the channel. */
  descriptor: z.int().min(3).optional(),
});

/** A listening socket that the guard inherits: it accepts connections there once it serves. */
const guardDoor = z.strictObject({
  /** `loopback`: connections there came over TCP, which web pages can use; the guard refuses web pages. */
  kind: z.enum(['local', 'loopback']),
  descriptor: z.int().min(3),
});

export type GuardDoor = z.infer<typeof guardDoor>;

export type GuardFile = z.infer<typeof guardFile>;

/** Agent to guard. */
export const guardOrderSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('configure'),
    model: z.strictObject({ name: z.string().min(1).max(TEXT_MAX), version: z.string().min(1).max(TEXT_MAX) }),
    files: z.array(guardFile).min(1).max(FILES_MAX),
    settings: guardSettingsSchema.optional(),
    /** How long one inference may take before the guard ends itself; left out: its parent watches it. */
    maxInferenceMs: z.int().min(1).optional(),
    /** Left out: those that systemd gave the guard. */
    doors: z.array(guardDoor).max(DOORS_MAX).optional(),
  }),
  /** The guard answers with `pong`: a guard whose model does not finish cannot. */
  z.strictObject({ kind: z.literal('ping') }),
  z.strictObject({ kind: z.literal('retire') }),
  z.strictObject({ kind: z.literal('stop') }),
]);

export type GuardOrder = z.infer<typeof guardOrderSchema>;

/** Totals since the guard started, so a lost message loses nothing. Verdicts count images, the rest counts requests. */
const guardCountsSchema = z.strictObject({
  accepted: count,
  fallback: count,
  review: count,
  /** Requests answered without a verdict, because the model has no guard settings. */
  unguarded: count,
  /** Requests refused as malformed or too large, or because the queue was full. */
  refused: count,
  /** Requests the model itself failed on. */
  failed: count,
  reasons: z.partialRecord(z.enum(verdictReasons), count),
});

export type GuardCounts = z.infer<typeof guardCountsSchema>;

const namespace = z.string().max(64);

/** The environment that a guard started by systemd finds, before it has seen anything of a model or an application. */
const guardSurroundings = z.strictObject({
  userId: z.int().min(0),
  noNewPrivileges: z.boolean(),
  /** Whether it has any, or could ever get any. */
  capabilities: z.boolean(),
  systemCallFilter: z.boolean(),
  coreFiles: z.boolean(),
  /** Whether its control group limits its memory. */
  memoryLimit: z.boolean(),
  /** The kernel's names of its namespaces, such as `net:[4026531840]`. */
  namespaces: z.strictObject({ net: namespace, ipc: namespace, mnt: namespace, pid: namespace }),
});

export type GuardSurroundings = z.infer<typeof guardSurroundings>;

/** Guard to agent. */
export const guardReportSchema = z.discriminatedUnion('kind', [
  /** The first message: all code is loaded, orders can be sent. The sandbox is tested with it. */
  z.strictObject({ kind: z.literal('loaded'), surroundings: guardSurroundings.optional() }),
  z.strictObject({ kind: z.literal('pong') }),
  /** Every file is in the guard's own memory: the agent can wipe its copies. */
  z.strictObject({ kind: z.literal('files-read') }),
  z.strictObject({ kind: z.literal('ready'), guarded: z.boolean(), fallback: z.boolean() }),
  z.strictObject({
    kind: z.literal('failed'),
    code: z.string().min(1).max(TEXT_MAX),
    message: z.string().max(TEXT_MAX),
  }),
  z.strictObject({ kind: z.literal('counts'), counts: guardCountsSchema }),
  z.strictObject({ kind: z.literal('stopped'), counts: guardCountsSchema }),
]);

export type GuardReport = z.infer<typeof guardReportSchema>;

/** The longest message text in a report. */
export const REPORT_TEXT_MAX = TEXT_MAX;

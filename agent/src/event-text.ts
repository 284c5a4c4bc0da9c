// The events of an agent in sentences, for a person at a terminal. Programs read them as JSON lines (spec/agent.md, "Events").
import { styleText } from 'node:util';
import { printableCell } from '@edgekeep/host/printable';
import type { AgentEvent, TimedEvent } from './event.ts';
import type { Reason } from './hub-api.ts';

type Tone = 'plain' | 'good' | 'warning' | 'bad';
interface Sentence {
  readonly text: string;
  readonly tone?: Tone;
  readonly reasons?: readonly Reason[];
}
type Sentences = { readonly [K in AgentEvent['kind']]: (event: Extract<AgentEvent, { readonly kind: K }>) => Sentence };

const colors = { plain: undefined, good: 'green', warning: 'yellow', bad: 'red' } as const;

/** Lines with the time of day in UTC; with color codes where `colored`, so they are written as bytes. */
export function eventText(event: TimedEvent, colored: boolean): string {
  const { text, tone = 'plain', reasons = [] } = sentenceOf(event);
  const color = colors[tone];
  const first = printableCell(text);
  return [
    `${new Date(event.at).toISOString().slice(11, 19)}  ${colored && color !== undefined ? styleText(color, first, { validateStream: false }) : first}`,
    ...reasons.map(({ code, message }) => `          - ${printableCell(`${code}: ${message}`)}`),
  ].join('\n');
}

/** Whether color codes are for this output: a terminal, and no wish of its user against them (no-color.org). */
export function takesColor(output: Pick<NodeJS.WriteStream, 'isTTY'>, environment = process.env): boolean {
  return output.isTTY && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
}

function sentenceOf<K extends AgentEvent['kind']>(event: Extract<AgentEvent, { readonly kind: K }>): Sentence {
  const sentence: Sentences[K] = sentences[event.kind];
  return sentence(event);
}

const release = ({ model, version }: { readonly model: string; readonly version: string }) => `${model} ${version}`;
const until = (milliseconds: number) =>
  `until ${new Date(milliseconds).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

const sentences: Sentences = {
  started: ({ deviceId, tier }) => ({ text: `${deviceId} starts; its root of trust: ${tier}` }),
  'stage-measured': ({ stage, again }) => ({
    text: again ? `stage ${stage} was measured before in this boot` : `stage ${stage} is measured into the TPM`,
  }),
  recovery: ({ why }) => ({ text: `recovery, no model runs: ${why}`, tone: 'bad' }),
  proxy: ({ proxy, from }) => ({ text: `the hub is reached through the proxy ${proxy} (${from})` }),
  'proxy-ignored': ({ variable }) => ({
    text: `${variable} names a proxy, and the settings do not say that it counts: the hub is reached directly`,
    tone: 'warning',
  }),
  'proxy-failed': ({ code, why }) => ({
    text: `the proxy does not let this device through: ${code}: ${why}`,
    tone: 'bad',
  }),
  'firmware-log-missing': ({ why }) => ({
    text: `the firmware's event log cannot be read, so no hub accepts this boot: ${why}`,
    tone: 'bad',
  }),
  'firmware-log-empty': ({ why }) => ({
    text: `the firmware's event log has no event, so no hub accepts this boot: ${why}`,
    tone: 'bad',
  }),
  'tpm-cleared': ({ why }) => ({ text: `the TPM was cleared, and the hub refuses it: ${why}`, tone: 'bad' }),
  stopped: ({ code, why }) => ({
    text: `nothing more is asked of the hub until a person acts: ${code}: ${why}`,
    tone: 'bad',
  }),
  'extended-later': ({ pcrs }) => ({
    text: `the system extended PCR ${pcrs.join(', ')} after the boot; a hub that asks for them refuses`,
    tone: 'warning',
  }),
  'stage-pcr-shared': ({ pcr, others }) => ({
    text: `PCR ${pcr} of the stages has measurements of others: ${others.join(', ')}`,
    tone: 'warning',
  }),
  'stage-pcr-learned': ({ pcr }) => ({ text: `from the next boot on stages are measured into PCR ${pcr}` }),
  'state-repaired': ({ file }) => ({
    text: `${file} was damaged or missing, and is written again from its copy`,
    tone: 'warning',
  }),
  'state-lost': ({ file, how, why }) => ({
    text: `${file} is lost (${how}): the hub is asked for it, and no model is opened before: ${why}`,
    tone: 'bad',
  }),
  'state-recovered': ({ files, logSize, models }) => ({
    text: `${files.join(', ')}: the hub gave them back, at ${logSize} entries of its log and ${models} models`,
    tone: 'good',
  }),
  enrolled: () => ({ text: 'enrolled: the hub knows this device', tone: 'good' }),
  recovered: () => ({ text: 'the device got a new certificate by its root of trust' }),
  'certificate-renewed': ({ notAfter }) => ({ text: `the certificate is renewed, ${until(notAfter)}` }),
  'root-learned': ({ sha256 }) => ({ text: `a new root of the hub is known, SHA-256 ${sha256}` }),
  'servers-authority-required': () => ({ text: "from now on the hub's certificate must be from a CA for servers" }),
  'roots-refused': ({ reasons }) => ({ text: `the hub's roots are refused: ${reasons.join('; ')}`, tone: 'bad' }),
  'key-list-learned': ({ number }) => ({ text: `key list ${number} of the hub is known` }),
  'key-list-refused': ({ reasons }) => ({ text: `the hub's key list is refused: ${reasons.join('; ')}`, tone: 'bad' }),
  'key-list-too-old': ({ number, since }) => ({
    text: `key list ${number} of the hub is too old since ${new Date(since).toISOString().slice(0, 10)}`,
    tone: 'warning',
  }),
  'root-list-too-old': ({ sha256, since }) => ({
    text: `the list of the root ${sha256.slice(0, 16)} is too old since ${new Date(since).toISOString().slice(0, 10)}`,
    tone: 'warning',
  }),
  'root-dropped': ({ sha256 }) => ({ text: `this root is no longer trusted: SHA-256 ${sha256}` }),
  'hybrid-key-registered': () => ({ text: 'the hub has the hybrid key of this device' }),
  connected: ({ state }) => ({ text: `connected to the hub; the device is ${state}` }),
  disconnected: ({ why }) => ({ text: `disconnected: ${why}`, tone: 'warning' }),
  'hub-unreachable': ({ why }) => ({ text: `the hub is not reached, and tried again: ${why}`, tone: 'warning' }),
  'tls-intercepted': ({ code, why }) => ({
    text: `somebody between this device and the hub answers in its place: ${code}: ${why}`,
    tone: 'bad',
  }),
  attested: ({ status, tier, reasons }) => ({
    text: `attested: ${status} (${tier})`,
    tone: status === 'affirming' ? 'good' : 'warning',
    reasons,
  }),
  refused: ({ step, code, message, reasons }) => ({
    text: `the hub refused (${step}): ${code}: ${message}`,
    tone: 'bad',
    reasons,
  }),
  'model-refused': ({ model, code, place, final, why }) => ({
    text: `${model} does not run: ${code} at ${place}: ${why}; ${final ? 'not tried again until there is another release' : 'it is tried again'}`,
    tone: 'bad',
  }),
  'model-retried': ({ model }) => ({ text: `${model} is tried again, as an operator ordered` }),
  downloading: (event) => ({ text: `${release(event)}: ${progressText(event)} downloaded` }),
  downloaded: (event) => ({ text: `${release(event)} is here, ${sizeText(event.bytes)}` }),
  released: (event) => ({ text: `the key of ${release(event)} was released, lease ${until(event.notAfter)}` }),
  'lease-renewed': (event) => ({ text: `the lease of ${release(event)} is renewed, ${until(event.notAfter)}` }),
  serving: ({ guarded, degraded, ...event }) => ({
    text: `serving ${release(event)}${guarded ? '' : ', without guard settings'}${degraded.length === 0 ? '' : `; without ${degraded.join(', ')}`}`,
    tone: 'good',
  }),
  ready: (event) => ({ text: `${release(event)} is ready for edgekeep model run`, tone: 'good' }),
  'guard-walls': ({ missing }) => ({
    text: `this machine cannot put these walls around the guard: ${missing.join(', ')}`,
    tone: 'warning',
  }),
  locked: ({ model, why }) => ({ text: `${model} is locked: ${why}`, tone: 'warning' }),
  'guard-ended': ({ model, why }) => ({ text: `the guard of ${model} ended: ${why}`, tone: 'bad' }),
  'workload-certified': ({ workload, spiffeId, notAfter }) => ({
    text: `${workload} has a certificate as ${spiffeId}, ${until(notAfter)}`,
  }),
  cosigned: ({ size }) => ({ text: `cosigned the log of the hub: ${size} entries` }),
  'desired-changed': ({ version }) => ({ text: `the desired attributes have changed: version ${version}` }),
  'log-refused': ({ reasons }) => ({
    text: `the log of the hub does not continue what this device saw: ${reasons.join('; ')}`,
    tone: 'bad',
  }),
  'fork-detected': ({ proofFile }) => ({
    text: `the hub shows two histories; the proof is in ${proofFile}`,
    tone: 'bad',
  }),
  failed: ({ step, code, message }) => ({ text: `${step} failed: ${code}: ${message}`, tone: 'bad' }),
};

function progressText({ done, bytes }: { readonly done: number; readonly bytes: number }): string {
  return `${Math.floor((done / bytes) * 100)} % of ${sizeText(bytes)}`;
}

function sizeText(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

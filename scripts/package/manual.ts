// The manual pages: edgekeep(1) from the verbs and their help, edgekeep-hub(8) and edgekeep-agent(8) for the services. In the macros of
// man(7).
import type { Verbs } from '@edgekeep/cli/verb';
import { verbs } from '@edgekeep/cli/verbs';
import { exitCodesHelp } from '@edgekeep/cli/command';
import { type Part, version } from './tree.ts';

const day = (epochSeconds: number) => new Date(epochSeconds * 1_000).toISOString().slice(0, 10);

/** A text as roff: no character of it is a command. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
  return escaped.replaceAll(/^[.']/gm, (mark) => `\\&${mark}`);
}

function head(name: string, section: number, epochSeconds: number, what: string): readonly string[] {
  const title = `.TH ${name.toUpperCase().replaceAll('-', '\\-')} ${section} "${day(epochSeconds)}" "Edgekeep ${version}"`;
  return [title, '.SH NAME', `${roff(name)} \\- ${roff(what)}`];
}

/** The help of a verb: paragraphs, and entries `--option  meaning` whose lines continue with an indent. */
function helpText(help: string): readonly string[] {
  const lines: string[] = [];
  let isEntry = false;
  for (const line of help.trim().split('\n')) {
    const [, term, words] = /^ {0,2}(\S.*?) {2,}(\S.*)$/.exec(line) ?? [];
    if (term !== undefined && words !== undefined) {
      lines.push('.TP', `.B ${roff(term)}`, roff(words));
      isEntry = true;
    } else if (line.trim() === '') {
      isEntry = false;
    } else if (isEntry && line.startsWith('   ')) {
      lines.push(roff(line.trim()));
    } else {
      if (isEntry || lines.at(-1)?.startsWith('.') !== false) lines.push('.PP');
      isEntry = false;
      lines.push(roff(line.trim()));
    }
  }
  return lines;
}

async function verbText(all: Verbs, name: string): Promise<readonly string[]> {
  const verb = all[name];
  if (verb === undefined) return [];
  const { usage, help } = await verb.load(all);
  const example =
    verb.example === undefined ? [] : ['.PP', 'Example:', '.PP', '.EX', roff(`  edgekeep ${verb.example}`), '.EE'];
  const summary = `${verb.summary.charAt(0).toUpperCase()}${verb.summary.slice(1)}.`;
  return [
    `.SS ${roff(name)}`,
    '.PP',
    roff(summary),
    '.PP',
    `.B edgekeep ${roff(usage)}`,
    ...helpText(help),
    ...example,
  ];
}

export async function commandPage(epochSeconds: number, all: Verbs = verbs): Promise<string> {
  const texts = await Promise.all(Object.keys(all).map((name) => verbText(all, name)));
  return `${[
    ...head('edgekeep', 1, epochSeconds, 'keys for models, only to devices that prove what they are'),
    '.SH SYNOPSIS',
    '.B edgekeep',
    '.I VERB',
    '[options]',
    '[\\fB\\-\\-json\\fR]',
    '.SH DESCRIPTION',
    'Each verb has its own options;',
    '.B edgekeep help',
    '.I VERB',
    'shows them as well.',
    'With',
    '.B \\-\\-json',
    'the outcome, or the error, is printed as JSON.',
    '.SH VERBS',
    ...texts.flat(),
    '.SH EXIT STATUS',
    roff(exitCodesHelp),
    '.SH ENVIRONMENT',
    '.TP',
    '.B EDGEKEEP_OPERATOR',
    roff('the operator file, where --operator is not given'),
    '.SH FILES',
    ...files([...placesOf.hub, ...placesOf.agent]),
    '.SH SEE ALSO',
    '.BR edgekeep\\-hub (8),',
    '.BR edgekeep\\-agent (8)',
  ].join('\n')}\n`;
}

type Places = readonly (readonly [path: string, what: string])[];
const placesOf: Readonly<Record<Part, Places>> = {
  hub: [
    ['/var/lib/edgekeep/hub', 'the hub: settings (hub.json), keys, store and log'],
    ['/usr/share/doc/edgekeep-hub/docs', 'the pages: install.md and getting-started.md are the first ones'],
  ],
  agent: [
    ['/var/lib/edgekeep/agent', 'the agent: settings (agent.json), keys that it pins, sealed models'],
    [
      '/run/edgekeep',
      'sockets: NAME.sock for predictions of a model, agent.sock for its status, admin.sock for programs',
    ],
    ['/usr/share/doc/edgekeep-agent/docs', 'the pages: install.md and application.md are the first ones'],
  ],
};
const files = (places: Places) => places.flatMap(([path, what]) => ['.TP', `.I ${roff(path)}`, roff(what)]);

const services: Readonly<Record<Part, { readonly what: string; readonly text: readonly string[] }>> = {
  hub: {
    what: 'the hub of Edgekeep as a service',
    text: [
      'The service runs as the user edgekeep-hub and starts when there is a hub. To make one, as root:',
      '$ setpriv --reuid=edgekeep-hub --regid=edgekeep-hub --init-groups edgekeep hub init --unlock passphrase --root-folder DIR',
      '$ systemctl enable --now edgekeep-hub',
      'It waits until the keys are opened with edgekeep hub unlock, by that user; a program of the setting unlockProgram, or the systemd credential edgekeep-passphrase, opens them without a person.',
    ],
  },
  agent: {
    what: 'the agent of Edgekeep on a device, as a service',
    text: [
      'The service runs as the user edgekeep and starts when the device has its settings: a file that edgekeep enroll package makes at the hub installs them, or edgekeep enroll kit, whose files must belong to that user. Then:',
      '$ systemctl enable --now edgekeep-agent',
      'Programs that ask for predictions join the group edgekeep. Guards can be units of their own: edgekeep-guard@.service.',
    ],
  },
};

export function servicePage(part: Part, epochSeconds: number): string {
  const { what, text } = services[part];
  const lines = text.flatMap((line) =>
    line.startsWith('$ ') ? ['.PP', '.EX', roff(`  ${line.slice(2)}`), '.EE'] : ['.PP', roff(line)],
  );
  return `${[
    ...head(`edgekeep-${part}`, 8, epochSeconds, what),
    '.SH DESCRIPTION',
    ...lines.slice(1),
    '.SH FILES',
    ...files(placesOf[part]),
    '.SH SEE ALSO',
    '.BR edgekeep (1),',
    '.BR systemctl (1)',
  ].join('\n')}\n`;
}

// Scheduled work of the authorities (spec/authorities.md): what falls due for them, the next server certificate, alarms.
import type { OwnCertificate } from '../authority/expiry.ts';
import { type AlarmedCertificate, alarmText, raiseAlarms } from '../authority/alarms.ts';
import type { AuthorityDependencies } from '../authority/issuing-orders.ts';
import { activateDue, closeEnded, destroyKeys, dropRoots, retireEmptied } from '../authority/upkeep.ts';
import { weighKeyList } from '../authority/key-list-alarm.ts';
import { weighRootLists } from '../authority/root-list-alarm.ts';
import { activateKeysDue, type KeyOrderDependencies } from '../authority/key-orders.ts';
import type { LiveCredential } from '../authority/server-credential.ts';
import { raiseTokenAlarms } from '../people/token-alarms.ts';
import type { Job } from '../common/subject.ts';

export interface KeeperDependencies extends KeyOrderDependencies {
  readonly settings: AuthorityDependencies['settings'] & { readonly tokens: { readonly bootstrapHours: number } };
  readonly credential: LiveCredential;
  readonly ownCertificates: () => Promise<readonly OwnCertificate[]>;
  readonly vendorRoots: { watched(): readonly AlarmedCertificate[] };
  /** One line for the hub's own log. */
  readonly warn: (text: string) => void;
}

export class AuthorityKeeper {
  readonly #dependencies: KeeperDependencies;
  readonly #destroyed = new Set<string>();

  constructor(dependencies: KeeperDependencies) {
    this.#dependencies = dependencies;
  }

  get job(): Job {
    return {
      name: 'authority-keeper',
      summary: 'does what is due for authorities and certificates, and raises alerts before they end',
      everyMilliseconds: this.#dependencies.settings.authorities.checkSeconds * 1_000,
      runsOn: 'one-node',
      run: () => this.sweep(),
    };
  }

  /** Does everything that is due. Rejects with the first failure, after it has tried the other steps. */
  async sweep(): Promise<void> {
    const { authorities, keyRing, credential } = this.#dependencies;
    const failures: unknown[] = [];
    const steps = [
      // Changes that another node made.
      () => authorities.reload(),
      () => activateDue(this.#dependencies),
      () => retireEmptied(this.#dependencies),
      () => closeEnded(this.#dependencies),
      () => destroyKeys(this.#dependencies, this.#destroyed),
      () => dropRoots(this.#dependencies),
      () => keyRing.reload(),
      () => activateKeysDue(this.#dependencies),
      () => this.#weighKeyList(),
      () => this.#weighRootLists(),
      () => credential.renewWhenDue(),
      () => this.#raiseAlarms(),
      () => this.#raiseTokenAlarms(),
    ];
    for (const step of steps) await step().catch((error: unknown) => failures.push(error));
    const [first] = failures;
    if (first !== undefined) throw first;
  }

  async #weighKeyList(): Promise<void> {
    const { database, clock, settings } = this.#dependencies;
    const { keyListAlarmDays } = settings.authorities;
    await weighKeyList(database, { keyListAlarmDays, nowMs: clock() });
  }

  async #weighRootLists(): Promise<void> {
    const { database, clock, settings } = this.#dependencies;
    await weighRootLists(database, { alarmDays: settings.authorities.keyListAlarmDays, nowMs: clock() });
  }

  async #raiseTokenAlarms(): Promise<void> {
    const { database, clock, settings } = this.#dependencies;
    await raiseTokenAlarms(database, { bootstrapHours: settings.tokens.bootstrapHours, nowMs: clock() });
  }

  async #raiseAlarms(): Promise<void> {
    const { database, settings, ownCertificates, vendorRoots, clock, warn } = this.#dependencies;
    const { alarmDays } = settings.authorities;
    const watched = [...(await ownCertificates()), ...vendorRoots.watched()];
    const raised = await raiseAlarms(database, watched, { alarmDays, nowMs: clock() });
    for (const alarm of raised) warn(alarmText(alarm));
  }
}

// Reads the alerts of a hub.
import { alertList, type AlertKind, type AlertView } from '@edgekeep/wire/api/alert';
import type { HubWorld } from './hub-world.ts';

/** All of one kind about one device, closed ones too, the newest first. */
export async function alertsOf(world: HubWorld, deviceId: string, kind?: AlertKind): Promise<readonly AlertView[]> {
  const chosen = new URLSearchParams({ state: 'any', device: deviceId, ...(kind === undefined ? {} : { kind }) });
  return (await world.operator.get(`/v1/alerts?${chosen.toString()}`, alertList)).alerts;
}

// Each try asks the hub once; events in a storm are counted with a delay of a second.
const TURNS_MAX = 20_000;

/** The one alert of this kind about the device, once it exists and `fits`: some are raised after the request that caused them. */
export async function alertOf(
  world: HubWorld,
  deviceId: string,
  kind: AlertKind,
  fits: (alert: AlertView) => boolean = () => true,
): Promise<AlertView> {
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    const [alert, another] = await alertsOf(world, deviceId, kind);
    if (another !== undefined) throw new TypeError(`more than one alert of the kind ${kind} about ${deviceId}`);
    if (alert !== undefined && fits(alert)) return alert;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`no such alert: there are ${JSON.stringify(await alertsOf(world, deviceId))}`);
}

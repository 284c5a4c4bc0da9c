// How new a list of forbidden boot loaders (dbx) is. The list itself has no date. Vendors only add to it, so that one entry of an update
// shows that the update was applied: these are entries that Microsoft's revocation list gained in the month named.
import { toHex } from '../bytes.ts';

const gained: readonly (readonly [month: string, authenticodeSha256: readonly string[]])[] = [
  [
    '2018-04-01',
    [
      '80b4d96931bf0d02fd91a61e19d14f1da452e66db2408ca8604d411f92659f0a', // 64-bit
      '363384d14d1f2e0b7815626484c459ad57a318ef4396266048d058c5a19bbf76', // 32-bit
      '075eea060589548ba060b2feed10da3c20c7fe9b17cd026b94e8a683b8115238', // 64-bit ARM
    ],
  ],
  [
    '2020-07-01',
    [
      'c805603c4fa038776e42f263c604b49d96840322e1922d5606a9b0bbb5bffe6f',
      '56fb79aab26ee9d0e0ca372fb86a8bb459acbc505d0ab35e6a632a3d5f88dcb3',
    ],
  ],
  [
    '2023-05-01',
    [
      '7836465bdffae768efaedcbaa8b5787baf51b2792a020e80e341a3f824ff82ca',
      '1c19a5a240a361131dcc5ec25363da6e79c7d55b3c79c0976c947f1d04a38aaa',
      'a1a59cc2784246ad693b1df151454642324e89c898566a59906891f48089ece9',
    ],
  ],
  [
    '2024-03-01',
    [
      'bb4919d8f38dba90154f963c47be83b665076c6eb4b230b3cee91e4b7706cc12',
      'c631fae3e49c8ee83c0af1ae9e6f116a382e71a88d05618dcf49433e030f4476',
    ],
  ],
  [
    '2024-11-01',
    [
      'cdb7c90d3ab8833d5324f5d8516d41fa990b9ca721fe643fffaef9057d9f9e48',
      'e9e4b5a51f6a5575b9f5bfab1852b0cb2795c66ff4b28135097cba671a5491b9',
    ],
  ],
];

const monthOf: ReadonlyMap<string, string> = new Map(
  gained.flatMap(([month, hashes]) => hashes.map((hash) => [hash, month] as const)),
);

/** The newest known update of which an entry is there, Unix milliseconds; undefined where there is none. */
export function dbxDateOf(entries: readonly Uint8Array[]): number | undefined {
  const months = entries.flatMap((entry) => monthOf.get(toHex(entry)) ?? []).toSorted();
  const newest = months.at(-1);
  return newest === undefined ? undefined : Date.parse(newest);
}

// `edgekeep policy countries`: the operator's own table of networks and their countries.
import { counted } from '@edgekeep/core/counted';
import { countryNetworksResponse, countryNetworksView } from '@edgekeep/wire/api/policy';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { readText } from '../person-file.ts';

export const command: Command = {
  usage: 'policy countries [FILE]',
  help: `FILE has a network and a country on each line, "10.1.0.0/16 AT"; lines that begin with # are ignored. It replaces the whole table.\n\n${operatorHelp}`,
  positionals: { min: 0, max: 1 },
  options: operatorOption,
  async run(args) {
    const operator = await openOperator(args);
    const [file] = args.positionals;
    if (file === undefined) {
      const { networks } = await operator.get('/v1/countries', countryNetworksView);
      const text = networks.map(({ network, country }) => `${network} ${country}`).join('\n');
      return { exitCode: exitCodes.ok, value: networks, text };
    }
    const networks = await readCountries(file);
    const value = await operator.send('PUT', '/v1/countries', { networks }, countryNetworksResponse);
    return { exitCode: exitCodes.ok, value, text: `${counted(value.networks, 'network')} with a country` };
  },
};

/** The networks of a file, as written there. */
export async function readCountries(file: string): Promise<{ network: string; country: string }[]> {
  const lines = (await readText(file)).split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [network = '', country = ''] = line.trim().split(/[\s,]+/);
    return { network, country };
  });
}

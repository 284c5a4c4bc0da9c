// The settings of `webhook`.
import { addressText, parseNetwork } from '@edgekeep/core/canonical/network';
import { z } from 'zod';

const networkSchema = z
  .string()
  .max(64)
  .transform((text, context) => {
    const network = parseNetwork(text);
    if (network !== undefined) return `${addressText(network)}/${network.prefixLength}`;
    context.addIssue({ code: 'custom', message: 'expected a network with host bits zero: 10.0.0.0/8, fd00::/8' });
    return z.NEVER;
  });

export const webhookSettings = {
  webhooks: z
    .strictObject({
      /** Private networks, and addresses of the hub's own machine, that receivers may be in. Without it they are at public addresses alone. */
      privateNetworks: z.array(networkSchema).max(64).prefault([]),
    })
    .prefault({}),
};

// For tests: a small authority with a hub and a device certificate, made with the product's own profiles.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { deviceProfile, rootProfile, serverProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { pemChain, type TlsClientCredential } from './tls.ts';

export interface TestAuthority {
  readonly authorityPem: string;
  readonly server: TlsClientCredential;
  readonly device: TlsClientCredential;
}

/** `dnsNames` and `ipAddresses` are what the server's certificate is for. Valid for an hour around now, or around a time that is `laterSeconds` after it. */
export async function makeTestAuthority(
  name: string,
  dnsNames: readonly string[] = ['localhost'],
  ipAddresses: readonly string[] = ['127.0.0.1'],
  laterSeconds = 0,
): Promise<TestAuthority> {
  const nowSeconds = Math.floor(Date.now() / 1000) + laterSeconds;
  const fresh = () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const input = {
      spki: encodeSpki(publicKey),
      serialRandom: randomBytes(16),
      notBeforeSeconds: nowSeconds - 3600,
      notAfterSeconds: nowSeconds + 3600,
    };
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    return { input, signer: signerFromKey(privateKey), pem };
  };
  const [root, server, device] = [fresh(), fresh(), fresh()];
  const rootDer = await issueCertificate(rootProfile(root.input, commonNameOnly(name)), root.signer);
  const issuer = parseCertificate(rootDer);
  const serverTemplate = serverProfile(server.input, issuer, { dnsNames, ipAddresses });
  const serverDer = await issueCertificate(serverTemplate, root.signer);
  const deviceDer = await issueCertificate(deviceProfile(device.input, issuer, 'pump-7'), root.signer);
  return {
    authorityPem: pemChain([rootDer]),
    server: { certificateChainPem: pemChain([serverDer]), privateKeyPem: server.pem },
    device: { certificateChainPem: pemChain([deviceDer]), privateKeyPem: device.pem },
  };
}

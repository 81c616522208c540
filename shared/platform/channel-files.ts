/** The options with which every command of ours reaches a coordinator, and what they mean. */
import { isLoopback } from './addresses.js';
import { SecretFileError, readClientTls, readToken, type ClientTls } from './tls.js';

/** As the command line gives them. */
export interface ChannelFlags {
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsClientCert?: string;
  readonly tlsClientKey?: string;
  readonly tlsServerName?: string;
  readonly tokenFile?: string;
}

/** One entry per option: how it is written, what it says, the variable that stands for it. */
export const channelOptions = [
  ['--tls', "TLS, trusting the system's authorities", 'PARZEN_TLS'],
  ['--tls-ca <file>', 'TLS, trusting these authorities (PEM)', 'PARZEN_TLS_CA'],
  ['--tls-client-cert <file>', 'certificate to show to the coordinator (PEM)', 'PARZEN_TLS_CLIENT_CERT'],
  ['--tls-client-key <file>', 'its private key (PEM)', 'PARZEN_TLS_CLIENT_KEY'],
  ['--tls-server-name <name>', "name in the coordinator's certificate", 'PARZEN_TLS_SERVER_NAME'],
  ['--token-file <file>', 'file with the token to send', 'PARZEN_TOKEN_FILE'],
] as const;

/**
 * TLS and token for a coordinator at `address`. Throws `SecretFileError`, also when the token would travel in the
 * clear.
 */
export function readChannel(
  flags: ChannelFlags,
  address: string,
  nowMs: number,
): { readonly tls: ClientTls | null; readonly token: string | null } {
  const { tlsCa: ca, tlsClientCert: cert, tlsClientKey: key, tlsServerName: serverName } = flags;
  const wanted = flags.tls === true || ca !== undefined || cert !== undefined || key !== undefined;
  const given = Object.entries({ ca, cert, key, serverName }).filter(([, value]) => value !== undefined);
  const tls = wanted ? readClientTls(Object.fromEntries(given), nowMs) : null;
  const token = flags.tokenFile === undefined ? null : readToken(flags.tokenFile);
  if (token !== null && tls === null && !isLoopback(address))
    throw new SecretFileError(
      `the token would travel to ${address} for everyone on the way to read: give --tls-ca FILE (or --tls)`,
    );
  return { tls, token };
}

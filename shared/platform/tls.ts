/** TLS material from files, checked when it is read: a mistake is one error at the start, not a puzzle at each call. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

/** A file with TLS material or a token cannot be used; the message names it and the remedy. */
export class SecretFileError extends Error {
  override readonly name = 'SecretFileError';
}

/** A certificate chain and its private key, PEM. */
export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** How a server proves itself, and whom it asks for a certificate. */
export interface ServerTls extends KeyPair {
  /** Clients must show a certificate that one of these authorities signed; null: none is asked for. */
  readonly clientCa: Buffer | null;
}

/** How a client checks a server, and proves itself. */
export interface ClientTls {
  /** Authorities to trust, PEM; null for the system's. */
  readonly ca: Buffer | null;
  readonly pair: KeyPair | null;
  /** The name the server's certificate must carry, when it is not the address's. */
  readonly serverName: string | null;
}

export interface ServerTlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
}

export interface ClientTlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

/**
 * What two options that belong together say: the files of a server, or null for no TLS. Throws `SecretFileError` when one
 * is missing; `option` is how they begin.
 */
export function pairedFiles(
  { cert, key }: { readonly cert: string | undefined; readonly key: string | undefined },
  option: string,
): { readonly cert: string; readonly key: string } | null {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined)
    throw new SecretFileError(`TLS needs both ${option}-cert and ${option}-key`);
  return { cert, key };
}

/** Reads and checks a server's files at time `nowMs`. Throws `SecretFileError`. */
export const readServerTls = ({ cert, key, clientCa }: ServerTlsFiles, nowMs: number): ServerTls => ({
  ...readPair(cert, key, nowMs),
  clientCa: clientCa === undefined ? null : readCertificate(clientCa, nowMs),
});

/** Reads and checks a client's files at time `nowMs`. Throws `SecretFileError`. */
export function readClientTls({ ca, cert, key, serverName }: ClientTlsFiles, nowMs: number): ClientTls {
  if ((cert === undefined) !== (key === undefined))
    throw new SecretFileError('a client certificate needs its key, and the key its certificate: give both');
  return {
    ca: ca === undefined ? null : readCertificate(ca, nowMs),
    pair: cert === undefined || key === undefined ? null : readPair(cert, key, nowMs),
    serverName: serverName ?? null,
  };
}

/** A token: the file's text without surrounding white space. Throws `SecretFileError`. */
export function readToken(file: string): string {
  const token = readSecret(file).toString('utf8').trim();
  if (!/^[!-~]{1,256}$/.test(token))
    throw new SecretFileError(
      `${file} does not hold a token: it must be one line, as 'coordinator token create' printed it`,
    );
  return token;
}

function readSecret(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new SecretFileError(`${file} cannot be read (${reasonOf(error)})`);
  }
}

function readCertificate(file: string, nowMs: number): Buffer {
  const pem = readSecret(file);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    throw new SecretFileError(`${file} is not a certificate in PEM (${reasonOf(error)})`);
  }
  if (Date.parse(certificate.validTo) <= nowMs)
    throw new SecretFileError(`the certificate in ${file} expired on ${certificate.validTo}: renew it`);
  if (Date.parse(certificate.validFrom) > nowMs)
    throw new SecretFileError(
      `the certificate in ${file} is not valid before ${certificate.validFrom}: check this machine's clock`,
    );
  return pem;
}

function readPair(certFile: string, keyFile: string, nowMs: number): KeyPair {
  const pair = { cert: readCertificate(certFile, nowMs), key: readSecret(keyFile) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new SecretFileError(`${keyFile} is not the private key of ${certFile} (${reasonOf(error)})`);
  }
  return pair;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

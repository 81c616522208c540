/** TLS of a listener whose certificate may be renewed while it listens: new connections get the new one, open ones live on. */
import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import type { ServerTls } from '../../shared/platform/tls.js';

export interface RenewableCredentials {
  readonly credentials: ServerCredentials;
  renew(tls: ServerTls): void;
}

/** A client certificate is demanded where an authority for them is named, from beginning to end. */
export function renewableCredentials(tls: ServerTls): RenewableCredentials {
  const provider = new CurrentCertificates(tls);
  return {
    // What comes first is the server's own certificate, whatever the parameter is called.
    credentials: experimental.createCertificateProviderServerCredentials(
      provider,
      tls.clientCa === null ? null : provider,
      tls.clientCa !== null,
    ),
    renew: (renewed) => provider.renew(renewed),
  };
}

class CurrentCertificates implements experimental.CertificateProvider {
  readonly #ca = new Set<experimental.CaCertificateUpdateListener>();
  readonly #identity = new Set<experimental.IdentityCertificateUpdateListener>();
  #tls: ServerTls;

  constructor(tls: ServerTls) {
    this.#tls = tls;
  }

  renew(tls: ServerTls): void {
    this.#tls = tls;
    this.#ca.forEach((listener) => this.#tellCa(listener));
    this.#identity.forEach((listener) => this.#tellIdentity(listener));
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#ca.add(listener);
    // Not at once: whoever adds a listener is not ready for its news yet.
    process.nextTick(() => this.#tellCa(listener));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#ca.delete(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identity.add(listener);
    process.nextTick(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identity.delete(listener);
  }

  #tellCa(listener: experimental.CaCertificateUpdateListener): void {
    const { clientCa } = this.#tls;
    if (clientCa !== null) listener({ caCertificate: clientCa });
  }

  #tellIdentity(listener: experimental.IdentityCertificateUpdateListener): void {
    listener({ certificate: this.#tls.cert, privateKey: this.#tls.key });
  }
}

/** How clients of ours reach a coordinator: plain on loopback, over TLS with a token elsewhere. */
import {
  InterceptingCall,
  credentials,
  type ChannelCredentials,
  type ClientOptions,
  type Interceptor,
} from '@grpc/grpc-js';
import { clientChannelOptions } from './call.js';

/** TLS as a client sees it; PEM throughout. */
export interface ChannelTls {
  /** Authorities to trust; null for the system's. */
  readonly ca: Buffer | null;
  /** What this client proves itself with; null for nothing. */
  readonly pair: { readonly cert: Buffer; readonly key: Buffer } | null;
  /** The name that the server's certificate carries; null for the address's own. */
  readonly serverName: string | null;
}

export interface ChannelSecurity {
  readonly tls: ChannelTls | null;
  /** Sent with every call. */
  readonly token: string | null;
}

/** A connection on loopback, or on a network that is trusted. */
export const plainChannel: ChannelSecurity = Object.freeze({ tls: null, token: null });

/** What a generated client is made with, after its address. */
export function channelParts({ tls, token }: ChannelSecurity): [ChannelCredentials, ClientOptions] {
  return [
    tls === null
      ? credentials.createInsecure()
      : credentials.createSsl(tls.ca, tls.pair?.key ?? null, tls.pair?.cert ?? null),
    {
      ...clientChannelOptions,
      ...(tls?.serverName == null ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
      ...(token === null ? {} : { interceptors: [sendToken(token)] }),
    },
  ];
}

/**
 * Options for calls to `address`. `HOST:PORT` keeps to one connection; `dns:///HOST:PORT` spreads the calls over all addresses
 * that the name has, in turn. Names are looked up again when a connection breaks, not when one is added.
 */
export const targetOptions = (address: string): ClientOptions => (address.startsWith('dns:') ? spread : {});

const spread: ClientOptions = {
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  // Nobody publishes such configurations in TXT records; looking for them would delay the first call.
  'grpc.service_config_disable_resolution': 1,
};

const sendToken =
  (token: string): Interceptor =>
  (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        metadata.set('authorization', `Bearer ${token}`);
        next(metadata, listener);
      },
    });

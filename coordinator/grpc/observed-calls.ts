/** Every call of a known method, told to an observer from the server's side of the wire. */
import {
  ServerInterceptingCall,
  status,
  type ServerInterceptor,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { statusNames } from '../../shared/wire/call.js';
import { AccessServiceService } from '../../shared/wire/gen/parzen/v1/access.js';
import { StudyServiceService } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialServiceService } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { CallName, CallObserver, CallType } from '../app/observer.js';

const typeOf = (requestStream: boolean, responseStream: boolean): CallType => {
  if (requestStream) return responseStream ? 'bidi_stream' : 'client_stream';
  return responseStream ? 'server_stream' : 'unary';
};

const methodsOf = (definition: ServiceDefinition): readonly (readonly [string, CallName])[] =>
  Object.values(definition).map(({ path, requestStream, responseStream }) => {
    const [, service = '', method = ''] = path.split('/');
    const type = typeOf(requestStream, responseStream);
    return [path, { grpc_type: type, grpc_service: service, grpc_method: method }];
  });

/** `@grpc/reflection` does not export what it serves. */
const reflectionCalls = ['v1', 'v1alpha'].map((version): readonly [string, CallName] => {
  const service = `grpc.reflection.${version}.ServerReflection`;
  const name = { grpc_service: service, grpc_method: 'ServerReflectionInfo' };
  return [`/${service}/${name.grpc_method}`, { grpc_type: typeOf(true, true), ...name }];
});

/**
 * All that the server has, by path; other paths come from callers: as labels they would grow without bound. The alert on
 * errors takes refused calls from handled ones, so whatever can be refused has to be here.
 */
const knownCalls: ReadonlyMap<string, CallName> = new Map([
  ...methodsOf(TrialServiceService),
  ...methodsOf(StudyServiceService),
  ...methodsOf(AccessServiceService),
  ...methodsOf(healthService),
  ...reflectionCalls,
]);
export const callNames: readonly CallName[] = [...knownCalls.values()];

/** `DEADLINE_EXCEEDED` as `DeadlineExceeded`: the names that dashboards for other servers expect. */
const codeName = (name: string): string =>
  name === 'OK'
    ? name
    : name
        .toLowerCase()
        .split('_')
        .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
        .join('');
export const codeNames: readonly string[] = statusNames.map(codeName);

export const observeCalls =
  (observer: CallObserver): ServerInterceptor =>
  (method, call) => {
    const name = knownCalls.get(method.path);
    if (name === undefined) return new ServerInterceptingCall(call);
    const events = observer.started(name);
    let over = false;
    const end = (code: number): void => {
      if (!over) events.handled(codeName(status[code] ?? 'UNKNOWN'));
      over = true;
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMessage: (message: unknown, pass) => {
            events.received();
            pass(message);
          },
          // A caller that has gone gets no status.
          onCancel: () => end(status.CANCELLED),
        }),
      sendMessage: (message: unknown, pass) => {
        events.sent();
        pass(message);
      },
      sendStatus: (sent, pass) => {
        end(sent.code);
        pass(sent);
      },
    });
  };

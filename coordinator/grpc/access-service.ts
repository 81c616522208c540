import type { Log } from '../../shared/platform/log.js';
import { InvalidMessage } from '../../shared/wire/convert.js';
import { roleFromWire, tokenToWire } from '../../shared/wire/convert-access.js';
import type { AccessServiceServer } from '../../shared/wire/gen/parzen/v1/access.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { checkedName, unaryHandler } from './handlers.js';

/** The access service over the gateway. */
export function accessService(gateway: StudyGateway, log: Log): AccessServiceServer {
  return {
    createToken: unaryHandler(log, async (request) => {
      const name = checkedName(request.name, 'name');
      if (name.trim() !== name) throw new InvalidMessage('name must not begin or end with a space');
      const { token, secret } = await gateway.createToken(name, roleFromWire(request.role));
      log.info({ token: name, role: token.role }, 'token created');
      return { token: tokenToWire(token), secret };
    }),
    listTokens: unaryHandler(log, async () => ({ tokens: (await gateway.tokens()).map(tokenToWire) })),
    revokeToken: unaryHandler(log, async (request) => {
      const name = checkedName(request.name, 'name');
      await gateway.revokeToken(name);
      log.info({ token: name }, 'token revoked');
      return {};
    }),
  };
}

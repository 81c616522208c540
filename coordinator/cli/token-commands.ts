/** `coordinator token …`: who may use a coordinator. */
import { Option, type Command } from 'commander';
import { toJson } from '../../shared/core/json.js';
import { roles, type Role, type TokenView } from '../../shared/core/access.js';
import { minute, print, table } from './print.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

interface CreateOptions extends GatewayOptions {
  readonly role: Role;
}

export function addTokenCommands(program: Command): void {
  const group = program.command('token').description('give, list and revoke tokens');
  gatewayOptions(
    group
      .command('create <name>')
      .description('make a token and print it, this once')
      .addOption(
        new Option('--role <role>', 'worker: takes trials; read: looks; admin: looks and changes')
          .env('PARZEN_ROLE')
          .choices(roles)
          .makeOptionMandatory(),
      ),
  ).action((name: string, options: CreateOptions) =>
    withGateway(
      options,
      async (gateway) => {
        const { token, secret } = await gateway.createToken(name, options.role);
        print(options.json ? toJson({ ...token, secret }) : secret);
      },
      { create: true },
    ),
  );
  gatewayOptions(group.command('list').description('all tokens, without their secrets')).action(
    (options: GatewayOptions) =>
      withGateway(options, async (gateway) => {
        const tokens = await gateway.tokens();
        print(options.json ? toJson(tokens) : listText(tokens));
      }),
  );
  gatewayOptions(group.command('revoke <name>').description('refuse a token from now on')).action(
    (name: string, options: GatewayOptions) =>
      withGateway(options, async (gateway) => {
        await gateway.revokeToken(name);
        print(options.json ? toJson({ name, revoked: true }) : `token '${name}' is revoked`);
      }),
  );
}

function listText(tokens: readonly TokenView[]): string {
  if (tokens.length === 0) return "no tokens; 'coordinator token create NAME --role ROLE' makes one";
  const rows = tokens.map(({ name, role, createdAtMs, revokedAtMs }) => [
    name,
    role,
    minute(createdAtMs),
    revokedAtMs === null ? 'valid' : `revoked ${minute(revokedAtMs)}`,
  ]);
  return table([['name', 'role', 'created', 'state'], ...rows]);
}

import { Command, type InvalidArgumentError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addDataCommands } from './data-commands.js';
import { autoOrNumber, dateMs, decimalNumber, hostPort, wholeNumber } from './option-values.js';
import { addReplicateCommands } from './replicate-commands.js';
import { addResultCommands } from './result-commands.js';
import { addStudyCommands } from './study-commands.js';
import { addSuggestCommand } from './suggest-command.js';
import { gatewayOptions, type GatewayOptions } from './with-gateway.js';

const refusal = (read: () => unknown): string => {
  try {
    return `taken: ${String(read())}`;
  } catch (error) {
    return (error as InvalidArgumentError).message;
  }
};

describe('option values', () => {
  it('takes decimal numbers within their bounds and nothing else', () => {
    expect(wholeNumber(1, 20)('12')).toBe(12);
    for (const text of ['0', '21', '0x1', '1e1', '', ' 1', '1.0', 'abc', '-1'])
      expect(refusal(() => wholeNumber(1, 20)(text))).toBe('Give a whole number from 1 to 20.');
    expect([autoOrNumber(0, 4)('auto'), autoOrNumber(0, 4)('0')]).toEqual(['auto', 0]);
    for (const text of ['0x1', '5', 'Auto', ''])
      expect(refusal(() => autoOrNumber(0, 4)(text))).toBe('Give auto or a number from 0 to 4.');
    expect(['0.005', '-.5', '1e-3'].map(decimalNumber(-1, 1))).toEqual([0.005, -0.5, 0.001]);
    for (const text of ['NaN', 'Infinity', '0x1', '', '2', 'abc'])
      expect(refusal(() => decimalNumber(-1, 1)(text))).toBe('Give a number from -1 to 1.');
  });

  it('takes addresses with a port that exists', () => {
    for (const text of ['127.0.0.1:50051', 'host:65535', '[::1]:1']) expect(hostPort(1)(text)).toBe(text);
    for (const text of ['host', 'host:65536', 'host:99999', 'host:0', ':1', '::1:5', 'http://host:1'])
      expect(refusal(() => hostPort(1)(text))).toMatch(/^Give HOST:PORT with a port from 1 to 65535/);
    expect(hostPort(0)('127.0.0.1:0')).toBe('127.0.0.1:0');
  });

  it('reads dates as UTC', () => {
    expect(dateMs('2019-01-01')).toBe(Date.UTC(2019, 0, 1));
    expect(dateMs('2019-01-01T12:00')).toBe(Date.UTC(2019, 0, 1, 12));
    expect(refusal(() => dateMs('soon'))).toMatch(/^Give a date/);
  });
});

describe('options of the commands', () => {
  afterEach(() => vi.unstubAllEnvs());

  /** What a command's action is given for these arguments, or the message of usage. */
  const given = async (...args: readonly string[]): Promise<GatewayOptions | string> => {
    const options: GatewayOptions[] = [];
    let message = '';
    const command = new Command('look')
      .exitOverride()
      .configureOutput({ writeErr: (text) => (message += text) });
    gatewayOptions(command).action((read: GatewayOptions) => {
      options.push(read);
    });
    await command.parseAsync(args, { from: 'user' }).catch(() => null);
    return options[0] ?? message;
  };

  it('lets the command line win over the environment', async () => {
    vi.stubEnv('PARZEN_STORAGE', 'kept');
    expect(await given()).toMatchObject({ storage: 'kept' });
    const remote = await given('--coordinator', 'host:1');
    expect(remote).toMatchObject({ coordinator: 'host:1' });
    expect(remote).toHaveProperty('storage', undefined);
    vi.stubEnv('PARZEN_STORAGE', undefined);
    vi.stubEnv('PARZEN_COORDINATOR', 'host:2');
    const local = await given('--storage', 'folder');
    expect(local).toMatchObject({ storage: 'folder' });
    expect(local).toHaveProperty('coordinator', undefined);
  });

  it('refuses two stores at once, and a port that does not exist', async () => {
    expect(await given('--coordinator', 'host:1', '--storage', 'x')).toMatch(/not both/);
    expect(await given('--coordinator', 'host:65536')).toMatch(/Give HOST:PORT/);
    vi.stubEnv('PARZEN_STORAGE', 'kept');
    vi.stubEnv('PARZEN_COORDINATOR', 'host:2');
    expect(await given()).toMatch(/PARZEN_COORDINATOR and PARZEN_STORAGE are both set/);
  });

  it('can all be set as variables', () => {
    const program = new Command();
    for (const add of [
      addDataCommands,
      addReplicateCommands,
      addResultCommands,
      addStudyCommands,
      addSuggestCommand,
    ])
      add(program);
    const all = (command: Command): readonly Command[] => [command, ...command.commands.flatMap(all)];
    const options = all(program).flatMap((command) => command.options);
    expect(options.length).toBeGreaterThan(40);
    expect(options.filter(({ envVar }) => envVar?.startsWith('PARZEN_') !== true)).toEqual([]);
  });

  it('refuses a seed that is no number', async () => {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
    addDataCommands(program);
    await expect(program.parseAsync(['data', 'synth', '--seed', 'abc'], { from: 'user' })).rejects.toThrow(
      "argument 'abc' is invalid. Give a whole number from 0 to 4294967295.",
    );
  });
});

import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { RpcError } from '../../shared/wire/call.js';
import { AppError } from '../app/errors.js';
import { CommandError } from './command-error.js';
import { explain } from './explain.js';

describe('explain', () => {
  it('says in a line what the user can know of', () => {
    expect(explain(new CommandError('no such file', 2))).toBe('no such file');
    expect(explain(new AppError('not-found', 'no study x'))).toBe('no study x');
    expect(explain(new RpcError(status.RESOURCE_EXHAUSTED, 'message larger than 4 MB'))).toBe(
      'the coordinator could not do it: message larger than 4 MB (RESOURCE_EXHAUSTED)',
    );
    expect(explain(new RpcError(status.INTERNAL, ''))).toBe(
      'the coordinator could not do it: it gave no reason (INTERNAL)',
    );
  });

  it('shows a bug whole', () => {
    expect(explain(new TypeError('x is undefined'))).toMatch(/^TypeError: x is undefined\n\s+at /);
  });

  it('shows no password and no token, wherever they stand', () => {
    const message =
      "run 'coordinator resume quick --storage postgres://me:S3CRET@db/parzen?password=S3CRET&sslmode=require', " +
      "not host=db password='S3 CRET' nor PGPASSWORD=S3CRET, nor parzen_admin_S3CRETS3CRETS3CRET";
    const shown = explain(new CommandError(message));
    expect(shown).not.toMatch(/S3|CRET/);
    expect(shown).toContain("--storage postgres://me:***@db/parzen?password=***&sslmode=require'");
    expect(explain(new TypeError('postgres://me:S3CRET@db: bug'))).not.toContain('S3CRET');
  });
});

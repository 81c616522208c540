/** Every rendered manifest has only fields that exist, all that are required, and values of the right type. */
import { describe, expect, it } from 'vitest';
import { everything, type Manifest } from './manifests.js';
import { illTyped, invalid } from './schema.js';

const deployment = (container: object, spec: object = {}): Manifest => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'probe' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { spec: { containers: [{ name: 'c', image: 'i', ...container }] } },
    ...spec,
  },
});

describe('schema', () => {
  it('has nothing to say about what is rendered', async () => {
    const manifests = everything.flatMap(([name, read]) =>
      read().map((manifest) => [name, manifest] as const),
    );
    expect(manifests.length).toBeGreaterThan(70);
    expect((await Promise.all(manifests.map(([, manifest]) => invalid(manifest)))).flat()).toEqual([]);
    expect(illTyped(manifests)).toEqual([]);
  });

  it('sees what is wrong', async () => {
    expect(await invalid(deployment({}))).toEqual([]);
    expect((await invalid(deployment({ ports: [{ containerPort: 'x' }] }))).join()).toContain(
      'must be integer',
    );
    expect((await invalid(deployment({}, { selector: undefined }))).join()).toContain('selector');
    expect(
      illTyped([
        ['fine', deployment({})],
        ['misspelt', deployment({ imagePullPolcy: 'Always' })],
        ['misplaced', deployment({}, { terminationGracePeriodSeconds: 3 })],
        [
          'not a cluster',
          { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', metadata: { name: 'x' }, spec: {} },
        ],
      ]),
    ).toEqual([
      expect.stringMatching(/^misspelt: Deployment probe: .*imagePullPolcy/),
      expect.stringMatching(/^misplaced: Deployment probe: .*terminationGracePeriodSeconds/),
      expect.stringMatching(/^not a cluster: Cluster x: /),
    ]);
  });
});

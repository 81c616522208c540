/** A trial trained again from the file that a study left, with the real commands. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workplace, instantStudyFile } from '../helpers/cli.js';

const smallModel = `name: small
direction: maximize
objective: { auc: 0.7, dir_acc: 0.3 }
trials: 3
sampler: { type: random, seed: 7 }
space:
  learning_rate: { low: 1.0e-3, high: 1.0e-2, log: true }
  dropout: { low: 0.05, high: 0.3 }
fixed:
  { feature_window: 8, hermite_degree: 3, hermite_maps_a: 2, hermite_maps_b: 1, hermite_hidden_dim: 8, lstm_hidden: 8,
    batch_size: 64, steps: 6, eval_every_steps: 3, prob_source: logit }
trainer: hermite
data: { synthetic: { name: planted, seed: 3, bars: 1300, volatility: 0.005, signal: 0.6 } }
evaluation:
  { fold_count: 2, train_rows_min: 200, train_rows_max: 400, early_stop_rows: 100, calibration_rows: 300, test_rows: 100,
    holdout_rows: 0, window_max: 16, volume_window: 24 }
`;

describe('worker reproduce', () => {
  let place: Workplace;
  beforeEach(() => {
    place = new Workplace();
  });
  afterEach(() => place.remove());

  const start = (file: string) =>
    place.run('coordinator', ['start', '--study', file, '--workers', '1', '--listen', '127.0.0.1:0']);
  const reproduce = (...args: string[]) =>
    place.run('worker', ['reproduce', ...args, '--coordinator', '127.0.0.1:1']);

  it('trains the best trial, and any other, again from the seed and the data that it had', async () => {
    const { code, stderr } = await start(place.write('small.yaml', smallModel));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const best = await reproduce('out/best_config_small.yaml');
    expect(best).toMatchObject({ code: 0 });
    expect(best.stdout).toMatch(
      /^trial \d of study 'small', on runtime \w+: all \d+ metrics are the same, bit for bit\n$/,
    );
    for (const trial of ['0', '1', '2']) {
      const config = await place.run('coordinator', [
        ...['best', 'small', '--trial', trial, '--storage', 'parzen-data'],
      ]);
      const { stdout } = await reproduce(place.write(`trial-${trial}.yaml`, config.stdout), '--json');
      expect(JSON.parse(stdout)).toMatchObject({ same: true, study: 'small', trial: Number(trial) });
    }
    const absent = await place.run('coordinator', [
      ...['best', 'small', '--trial', '3', '--storage', 'parzen-data'],
    ]);
    expect(absent).toMatchObject({ code: 1 });
    expect(absent.stderr).toContain("study 'small' has no complete trial 3");
    // Another seed is another trial.
    const file = place.read('out/best_config_small.yaml').replace('seed: 7', 'seed: 8');
    const other = await reproduce(place.write('other.yaml', file));
    expect(other).toMatchObject({ code: 1 });
    expect(other.stdout).toMatch(/metrics are others\n {2}auc +0\.\d+ then, 0\.\d+ now\n/);
  });

  it('says what is missing', async () => {
    await start(place.write('plain.yaml', instantStudyFile('plain', 3)));
    const file = place.read('out/best_config_plain.yaml');
    expect(await reproduce('out/best_config_plain.yaml')).toMatchObject({ code: 0 });
    const refusal = async (name: string, text: string | null) => {
      const { code, stderr, stdout } = await reproduce(text === null ? name : place.write(name, text));
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).not.toMatch(/\n\s+at /);
      return stderr;
    };
    expect(await refusal('absent.yaml', null)).toContain('absent.yaml cannot be read');
    expect(await refusal('plain2.yaml', instantStudyFile('x', 1))).toContain('is not a best configuration');
    expect(await refusal('program.yaml', file.replace('trainer: instant', 'trainer: my-net'))).toContain(
      "trained by the program 'my-net': name the file that allows it with --trainers",
    );
    const unknown = file.replace('dataset_sha256: null', `dataset_sha256: ${'a'.repeat(64)}`);
    expect(await refusal('data.yaml', unknown)).toMatch(/aaaaaaaaaaaa….*name it with --coordinator/);
    const broken = file.replace(/kind: [abc]\n/, 'kind: 7\n').replace('trainer: instant', 'trainer: hermite');
    expect(await refusal('broken.yaml', broken)).toContain('ended without a result this time (error: ');
  });
});

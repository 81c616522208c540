import { describe, expect, it } from 'vitest';
import { makeFloat, makeInt } from '../../space/make-parameter.js';
import type { Parameter } from '../../space/parameter.js';
import { modellingScale } from '../modelling-scale.js';
import { Mt19937 } from '../mt19937.js';
import { bandwidths } from './bandwidth.js';
import type { EstimatorRules } from './estimator-rules.js';
import { CategoricalKernels, NumericKernels } from './kernels.js';
import { a, c, d, e, f, h, mixture, optuna4, optuna5 } from './mixture.test-helper.js';
import type { ParzenEstimator } from './parzen-estimator.js';
import { mixtureWeights, rampWeights } from './weights.js';

describe('golden kernels (tpe.md §17)', () => {
  it.each<[string, Parameter, number[], number[], [number, number][]]>([
    [
      'A float',
      a,
      [0, 1, 5.5],
      [1.6, 4.5, 4.5, 8],
      [
        [-2, -2.2959115789332345],
        [0, -1.8475893016955927],
        [0.3, -1.8396823771291961],
        [6, -2.379187261134919],
      ],
    ],
    [
      'B one observation',
      a,
      [0.5],
      [5.5, 8],
      [
        [0.5, -2.0085709299039705],
        [6, -2.3021654464768315],
      ],
    ],
    [
      'C log float',
      c,
      [1e-3, 1e-2, 0.5],
      [2.302585092994046, 3.9120230054281455, 3.9120230054281455, 9.210340371976182],
      [
        [1e-4, -2.560331167262559],
        [2e-3, -2.080501631045725],
        [1, -2.4365746015645895],
      ],
    ],
    [
      'D stepped int',
      d,
      [-4, 5, 17],
      [9, 12, 12, 24],
      [
        [-4, -2.0651846201359927],
        [8, -2.050462621251933],
        [17, -2.2661193978849883],
      ],
    ],
    [
      'E log int',
      e,
      [1, 8, 60],
      [2.0794415416798357, 2.0794415416798357, 2.0149030205422647, 4.859812404361672],
      [
        [1, -1.6505350750360113],
        [2, -2.2777679837663007],
        [64, -5.795655847018352],
      ],
    ],
    [
      'F stepped float',
      f,
      [0, 0.5, 1],
      [0.5, 0.5, 0.5, 1.25],
      [
        [0, -1.7016481496451488],
        [0.25, -1.5665791147211303],
      ],
    ],
    [
      'G no observation',
      a,
      [],
      [8],
      [
        [-2, -2.1634637411888864],
        [2, -2.0384637411888864],
      ],
    ],
  ])('%s', (...[, parameter, observations, sigmas, densities]) => {
    const estimator = mixture([parameter], [observations]);
    const [kernels] = estimator.kernels;
    expect(kernels).toBeInstanceOf(NumericKernels);
    if (kernels instanceof NumericKernels) {
      sigmas.forEach((sigma, k) => expect(kernels.sigmas[k]).toBeCloseTo(sigma, 13));
    }
    for (const [x, expected] of densities) expect(estimator.logDensity([x])).toBeCloseTo(expected, 12);
  });

  it('A with endpoints on', () => {
    const rules = { ...optuna5, endpoints: true };
    const sigmas = bandwidths(Float64Array.of(0, 1, 5.5), modellingScale(a), 1, rules);
    expect([...sigmas]).toEqual([2, 4.5, 4.5]);
  });

  it('H categorical', () => {
    const estimator = mixture([h], [[0, 2, 2]]);
    [-1.268511325463507, -1.8562979903656258, -0.9007865453381897].forEach((expected, choice) => {
      expect(estimator.logDensity([choice])).toBeCloseTo(expected, 13);
    });
  });

  it('A×H joint', () => {
    const estimator = mixture(
      [a, h],
      [
        [0, 1, 5.5],
        [0, 2, 2],
      ],
    );
    expect(estimator.logDensity([0.1, 0])).toBeCloseTo(-2.838198282302566, 12);
    expect(estimator.logDensity([5, 2])).toBeCloseTo(-2.9842948107400606, 12);
    expect(estimator.logDensity([2, 1])).toBeCloseTo(-3.879908371343182, 12);
  });
});

describe('golden ramp and clip (tpe.md §17)', () => {
  const x = makeFloat({ name: 'x', low: 0, high: 1 });
  const y = makeInt({ name: 'y', low: 1, high: 131, log: true });
  const joint = (n: number, rules: EstimatorRules): ParzenEstimator => {
    const numbers = Array.from({ length: n }, (_, i) => i);
    return mixture(
      [x, y],
      [numbers.map((i) => ((37 * i) % 127) / 127), numbers.map((i) => 1 + ((53 * i) % 131))],
      rules,
    );
  };
  const points = [
    [0.25, 1],
    [0.5, 64],
    [0.999, 131],
  ];

  it.each([
    [
      26,
      [0.0014771048744460856, 0.03840472673559823, 0.03840472673559823],
      [-4.912685323938533, -6.065490643422475, -5.036713931017356],
    ],
    [
      30,
      [0.0011661807580174927, 0.009620991253644314, 0.034985422740524776],
      [-5.006497818883882, -5.601408379706855, -5.214900264775196],
    ],
    [
      98,
      [0.00016229814168627768, 0.0003809498047914018, 0.015905217885255212],
      [-5.79606310151884, -7.91325114138483, -9.608977557126462],
    ],
    [
      120,
      [0.00011277135607555681, 0.0002555350940861021, 0.013532562729066817],
      [-5.957611490676966, -4.157244335509968, -9.794056782070706],
    ],
  ])('n = %d, rules of Optuna 5', (n, weights, densities) => {
    const estimator = joint(n, optuna5);
    const actual = [estimator.weights[0], estimator.weights[1], estimator.weights[n]];
    weights.forEach((weight, k) => expect(actual[k]).toBeCloseTo(weight, 15));
    points.forEach((point, i) => expect(estimator.logDensity(point)).toBeCloseTo(densities[i] ?? 0, 11));
  });

  it.each([
    [
      30,
      [0.11346008899494893, 0.6322170923844527],
      [-4.744529451033552, -4.7163012552314285, -5.652146961090077],
    ],
    [
      120,
      [0.09005333231349373, 0.5017910387616783],
      [-5.8698682859248645, -4.673296936868925, -6.022757543330889],
    ],
    [3, [0.2, 1.114430806435553], null],
  ])('n = %d, rules of Optuna 4', (n, sigmas, densities) => {
    const estimator = joint(n, optuna4);
    estimator.kernels.forEach((kernels, j) => {
      expect(kernels).toBeInstanceOf(NumericKernels);
      if (kernels instanceof NumericKernels) expect(kernels.sigmas[0]).toBeCloseTo(sigmas[j] ?? 0, 13);
    });
    if (densities === null) return;
    points.forEach((point, i) => expect(estimator.logDensity(point)).toBeCloseTo(densities[i] ?? 0, 11));
  });
});

describe('bandwidths', () => {
  const sigmasOf = (observations: number[], rules = optuna5): number[] => [
    ...bandwidths(Float64Array.from(observations), modellingScale(a), 1, rules),
  ];

  it('case 24: equal observations get the smallest bandwidth, the outermost too', () => {
    expect(sigmasOf([1, 1, 1])).toEqual([8 / 5, 8 / 5, 8 / 5]);
    expect(sigmasOf([1, 1])).toEqual([2, 2]);
  });

  it('case 25: two observations 1e-9 apart and one far', () => {
    const [first, second, third] = sigmasOf([0, 1e-9, 5.5]);
    expect(first).toBe(1.6);
    expect(second).toBeCloseTo(5.499999999, 12);
    expect(third).toBeCloseTo(5.499999999, 12);
  });

  it('case 26: an observation at a bound', () => {
    expect(sigmasOf([-2])).toEqual([8]);
    expect(sigmasOf([6])).toEqual([8]);
    const estimator = mixture([a], [[-2]]);
    expect(Number.isFinite(estimator.logDensity([-2]))).toBe(true);
    expect(Number.isFinite(estimator.logDensity([6]))).toBe(true);
    expect(estimator.logDensity([6.0001])).toBe(-Infinity);
  });

  it('case 28: smallest bandwidth for 97, 98 and 99 observations', () => {
    for (const [n, parts] of [
      [97, 99],
      [98, 100],
      [99, 100],
    ] as const) {
      expect(sigmasOf(new Array<number>(n).fill(1))[0]).toBeCloseTo(8 / parts, 14);
    }
  });

  it('without magic clip only a floor of 1e-12 is left', () => {
    expect(sigmasOf([1, 1, 1], { ...optuna5, magicClip: false })).toEqual([1e-12, 1e-12, 1e-12]);
  });

  it('ties: kernel order inside a run of equal values (case 52: the multiset does not depend on it)', () => {
    // Sorted: 0 | 1 1 1 | 5.5. The first of the run has the gap down, the last the gap up.
    expect(sigmasOf([1, 5.5, 1, 0, 1])).toEqual([8 / 7, 4.5, 8 / 7, 8 / 7, 4.5]);
    const shuffled = sigmasOf([1, 1, 1, 5.5, 0]);
    expect([...shuffled].sort()).toEqual([...sigmasOf([1, 5.5, 1, 0, 1])].sort());
  });

  it('case 12: with fewer trials than parameters only Optuna 4 looks at the number of parameters', () => {
    const scale = modellingScale(a);
    const observations = Float64Array.of(0, 1, 5.5);
    const at = (d: number, rules: EstimatorRules): number[] => [...bandwidths(observations, scale, d, rules)];
    expect(at(17, optuna5)).toEqual(at(1, optuna5));
    expect(at(170, optuna4)[0]).toBeGreaterThan(at(1, { ...optuna4, magicClip: false })[0] ?? 0);
  });
});

describe('weights', () => {
  it('case 27: ramps of 24, 25, 26 and 27 observations', () => {
    const ones = new Array<number>(25).fill(1);
    expect([...rampWeights(24)]).toEqual(ones.slice(1));
    expect([...rampWeights(25)]).toEqual(ones);
    expect([...rampWeights(26)]).toEqual([1 / 26, ...ones]);
    expect([...rampWeights(27)]).toEqual([1 / 27, 1, ...ones]);
    const ramp = rampWeights(100);
    expect(ramp[0]).toBe(0.01);
    expect(ramp[74]).toBe(1);
    expect((ramp[40] ?? 0) - (ramp[39] ?? 0)).toBeCloseTo(0.99 / 74, 15);
  });

  it('case 44: prior weight 0', () => {
    const rules = { ...optuna5, priorWeight: 0 };
    expect([...mixtureWeights(rampWeights(2), 0)]).toEqual([0.5, 0.5, 0]);
    expect([...mixtureWeights(rampWeights(0), 0)]).toEqual([1]);
    const estimator = mixture(
      [a, h],
      [
        [0, 1],
        [1, 1],
      ],
      rules,
    );
    expect(estimator.logDensity([0, 1])).not.toBeNaN();
    expect(estimator.logDensity([0, 0])).toBe(-Infinity);
    const [, choices] = estimator.sample(500, new Mt19937(1));
    expect(new Set(choices)).toEqual(new Set([1]));
    expect(mixture([a], [[]], rules).logDensity([0])).not.toBeNaN();
  });
});

describe('case 50: everything sums to one', () => {
  it.each([
    ['stepped int', d, [-4, 5, 17]],
    ['log int', e, [1, 8, 60]],
    ['stepped float', f, [0, 0.5, 1]],
  ] as const)('the masses of a %s over its grid', (_, parameter, observations) => {
    const estimator = mixture([parameter], [[...observations]]);
    const step = parameter.step ?? 1;
    const size = Math.round((parameter.high - parameter.low) / step) + 1;
    let sum = 0;
    for (let i = 0; i < size; i++) sum += Math.exp(estimator.logDensity([parameter.low + i * step]));
    expect(sum).toBeCloseTo(1, 12);
  });

  it('the rows of a categorical parameter, prior included', () => {
    const kernels = new CategoricalKernels(h, Float64Array.of(0, 2, 2), optuna5);
    for (const k of [0, 1, 2, 3]) {
      const row = [0, 1, 2, 3].map((choice) => kernels.probability(k, choice));
      expect(row.reduce((sum, p) => sum + p)).toBeCloseTo(1, 14);
    }
  });

  it('the density of a float, by Simpson', () => {
    const estimator = mixture([a], [[0, 1, 5.5]]);
    const panels = 400;
    const width = 8 / panels;
    let sum = 0;
    for (let i = 0; i <= panels; i++) {
      const factor = i === 0 || i === panels ? 1 : i % 2 === 0 ? 2 : 4;
      sum += factor * Math.exp(estimator.logDensity([-2 + i * width]));
    }
    expect((sum * width) / 3).toBeCloseTo(1, 9);
  });
});

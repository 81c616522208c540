import { describe, expect, it } from 'vitest';
import { makeCategorical, makeFloat } from '../../space/make-parameter.js';
import type { Parameter, Space } from '../../space/parameter.js';
import { GroupSpaces, IntersectionSpace, type JointSpaces } from './joint-space.js';

const float = (name: string, high = 1): Parameter => makeFloat({ name, low: 0, high });
const named = (names: string): Space => Array.from(names, (name) => float(name));

function namesAfter(spaces: JointSpaces, ...trials: Space[]): string[] {
  for (const trial of trials) spaces.fold(trial);
  return spaces.spaces().map((space) => space.map((parameter) => parameter.name).join(''));
}

describe('intersection', () => {
  it('keeps what every trial has, sorted by name', () => {
    expect(namesAfter(new IntersectionSpace(), named('cab'), named('bca'))).toEqual(['abc']);
    expect(namesAfter(new IntersectionSpace(), named('abc'), named('bc'), named('abc'))).toEqual(['bc']);
    expect(namesAfter(new IntersectionSpace())).toEqual([]);
  });

  it('case 3: one finished trial without parameters empties it for good', () => {
    expect(namesAfter(new IntersectionSpace(), named('ab'), [], named('ab'))).toEqual([]);
  });

  it('case 4: one changed range takes the parameter out for good', () => {
    const spaces = new IntersectionSpace();
    expect(namesAfter(spaces, named('ab'), [float('a', 2), float('b')], named('ab'))).toEqual(['b']);
  });

  it('cases 7 and 8: single parameters are left out, a space of only such is empty', () => {
    const single = makeCategorical('s', ['only']);
    expect(namesAfter(new IntersectionSpace(), [single, float('a')])).toEqual(['a']);
    expect(namesAfter(new IntersectionSpace(), [single])).toEqual([]);
  });

  it('sorts by code point, not by UTF-16 unit', () => {
    expect(namesAfter(new IntersectionSpace(), [float('\u{1F600}'), float('\uFF41')])).toEqual([
      '\uFF41\u{1F600}',
    ]);
  });
});

describe('groups', () => {
  it('case 13: {a,b}, {b,c} → [{b},{a},{c}]; then {a,b,c,d} appends {d}', () => {
    const spaces = new GroupSpaces();
    expect(namesAfter(spaces, named('ab'), named('bc'))).toEqual(['b', 'a', 'c']);
    expect(namesAfter(spaces, named('abcd'))).toEqual(['b', 'a', 'c', 'd']);
  });

  it('case 13: folding a trial in twice changes nothing; groups stay disjoint', () => {
    const once = namesAfter(new GroupSpaces(), named('abcd'), named('bd'), named('cde'));
    const twice = namesAfter(
      new GroupSpaces(),
      named('abcd'),
      named('abcd'),
      named('bd'),
      named('bd'),
      named('cde'),
      named('cde'),
    );
    expect(twice).toEqual(once);
    expect(Array.from(once.join('')).sort().join('')).toBe('abcde');
  });

  it('keeps the distribution first seen', () => {
    const spaces = new GroupSpaces();
    spaces.fold([float('a', 1)]);
    spaces.fold([float('a', 7)]);
    expect(spaces.spaces()).toEqual([[float('a', 1)]]);
  });

  it('drops groups of only single parameters', () => {
    expect(namesAfter(new GroupSpaces(), [makeCategorical('s', ['only'])], named('a'))).toEqual(['a']);
  });
});

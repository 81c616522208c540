/** Values and messages that nobody well-meaning would send. */
import fc from 'fast-check';

/** What breaks programs that paste texts together, or that believe in lengths and names. */
const notorious = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\u202e',
  "'; drop table parzen.trials; --",
  '$1',
  '%s%n',
  '${jndi:ldap://x}',
  '../../../etc/passwd',
  '<script>alert(1)</script>',
  '__proto__',
  'constructor',
  'toString',
  'NaN',
  'null',
  'a'.repeat(129),
  'a'.repeat(300),
  'ä'.repeat(70_000),
];

export const text = fc.oneof(
  fc.constantFrom(...notorious),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

export const number = fc.oneof(
  fc.constantFrom(
    0,
    1,
    -1,
    0.5,
    NaN,
    Infinity,
    -Infinity,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53,
    -(2 ** 63),
    1e308,
    5e-324,
  ),
  fc.double(),
  fc.integer(),
);

/** A copy of `template` in which some leaves have hostile values of their own kind, lists grow, and maps get odd keys. */
export function spoiled(template: unknown): fc.Arbitrary<unknown> {
  if (typeof template === 'string')
    return fc.oneof({ weight: 3, arbitrary: fc.constant(template) }, { weight: 1, arbitrary: text });
  if (typeof template === 'number')
    return fc.oneof({ weight: 3, arbitrary: fc.constant(template) }, { weight: 1, arbitrary: number });
  if (typeof template === 'boolean') return fc.boolean();
  if (Buffer.isBuffer(template)) return fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
  if (Array.isArray(template)) {
    const [first = ''] = template as readonly unknown[];
    return fc.oneof(
      fc.tuple(...template.map(spoiled)),
      fc.array(spoiled(first), { maxLength: 20 }),
      fc.constant(Array.from({ length: 2_000 }, () => first)),
    );
  }
  if (typeof template !== 'object' || template === null) return fc.constant(template);
  const entries = Object.entries(template);
  const fields = fc.tuple(...entries.map(([, value]) => spoiled(value)));
  return fields.map((values) => Object.fromEntries(entries.map(([name], index) => [name, values[index]])));
}

/** Texts that mean something to SQL, to a shell, to a file system, to a page, to a format string, to JavaScript. */
export const injections: readonly string[] = [
  "x'); drop table parzen.trials; --",
  '$(touch /tmp/parzen-injected)',
  '; touch /tmp/parzen-injected #',
  '../../../../tmp/parzen-injected',
  '<img src=x onerror=alert(1)>',
  '%s%s%n{{7*7}}${7*7}',
  '__proto__',
];

/** Copies of a message: in each, another one of its texts is this one. Keys of maps are texts, too. */
export function withEachText(template: unknown, text: string): readonly unknown[] {
  if (typeof template === 'string') return [text];
  if (typeof template !== 'object' || template === null || Buffer.isBuffer(template)) return [];
  if (Array.isArray(template))
    return template.flatMap((each: unknown, index) =>
      withEachText(each, text).map((copy) => template.with(index, copy) as unknown),
    );
  return Object.entries(template).flatMap(([name, value]) => {
    // Which kind of a message it is, is not a text of the caller's.
    if (name === '$case') return [];
    const copies = withEachText(value, text).map((copy) => ({ ...template, [name]: copy }));
    const isMap = name === 'params' || name === 'metrics';
    return isMap
      ? [
          ...copies,
          {
            ...template,
            [name]: { ...(value as object), [text]: Object.values(value as object)[0] as unknown },
          },
        ]
      : copies;
  });
}

const varint = (value: bigint): Buffer => {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Buffer.from(bytes);
};

const field = (id: number, wireType: number, content: Buffer): Buffer =>
  Buffer.concat([varint(BigInt(id) * 8n + BigInt(wireType)), content]);
const sized = (content: Buffer): Buffer => Buffer.concat([varint(BigInt(content.length)), content]);

/** Well-formed wire format without regard to any message: unknown fields, enum values and wire types, huge varints, nesting. */
export const wireSoup: fc.Arbitrary<Buffer> = fc.letrec<{ message: Buffer; content: Buffer }>((tie) => ({
  message: fc
    .array(
      fc.oneof(
        fc
          .tuple(fc.integer({ min: 1, max: 16 }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }))
          .map(([id, value]) => field(id, 0, varint(value))),
        fc.tuple(fc.integer({ min: 1, max: 16 }), fc.double()).map(([id, value]) => {
          const bytes = Buffer.alloc(8);
          bytes.writeDoubleLE(value);
          return field(id, 1, bytes);
        }),
        fc
          .tuple(fc.integer({ min: 1, max: 16 }), tie('content'))
          .map(([id, content]) => field(id, 2, sized(content))),
        fc
          .tuple(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 3, max: 7 }))
          .map(([id, wireType]) => field(id, wireType, Buffer.alloc(4))),
      ),
      { maxLength: 8 },
    )
    .map((fields) => Buffer.concat(fields)),
  content: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text.map((each) => Buffer.from(each)),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    tie('message'),
  ),
})).message;

/** One field within itself, `depth` times. */
export function nested(id: number, depth: number): Buffer {
  let message: Buffer = Buffer.alloc(0);
  for (let level = 0; level < depth; level += 1) message = field(id, 2, sized(message));
  return message;
}

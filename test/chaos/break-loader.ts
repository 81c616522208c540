/** Hooks of Node.js that load one file otherwise than it is: see `break-in.ts`. */
import type { InitializeHook, LoadHook } from 'node:module';
import type { Break } from './breaks.js';

let broken: Break | null = null;

export const initialize: InitializeHook<Break> = (data) => {
  broken = data;
};

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (broken === null || !url.endsWith(`/dist/${broken.file}`)) return loaded;
  const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
  const parts = source.split(broken.find);
  if (parts.length !== 2) throw new Error(`${broken.file} has ${parts.length - 1} places to break, not one`);
  return { ...loaded, source: parts.join(broken.replace) };
};

/** Imported before a program (`node --import`): breaks it in the way that `CHAOS_BREAK` names. */
import { register } from 'node:module';
import { breaks, isBreak } from './breaks.js';

const name = process.env['CHAOS_BREAK'] ?? '';
if (!isBreak(name)) throw new Error(`CHAOS_BREAK=${name}: name one of ${Object.keys(breaks).join(', ')}`);
register('./break-loader.js', import.meta.url, { data: breaks[name] });

/** Input that no suggestion can be made for: the message names the parameter or trial and the remedy. */
export class SamplerError extends Error {
  override readonly name = 'SamplerError';
}

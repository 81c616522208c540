/** Something is wrong with market data from outside. The message names the place (file, line, column) and the remedy. */
export class MarketDataError extends Error {
  override readonly name = 'MarketDataError';
}

/** Is `HOST:PORT`, or `dns:///HOST:PORT`, an address that only this machine can reach? */
export function isLoopback(address: string): boolean {
  const plain = address.replace(/^dns:\/\/\//, '');
  const host = plain.slice(0, plain.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

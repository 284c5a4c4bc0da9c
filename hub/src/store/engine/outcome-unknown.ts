/** Nobody knows whether a group of writes is durable: the connection ended during its commit, and the server did not come back in time. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

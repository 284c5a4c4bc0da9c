import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoundTrips } from './round-trip.ts';

function conversation() {
  let now = 0;
  const trips = new RoundTrips<object>(() => now);
  const connection = {};
  return {
    trips,
    connection,
    after: (ms: number) => {
      now += ms;
      return trips;
    },
  };
}

test('a proof takes what passes from the challenge to its answer, less the way there and back', () => {
  const { trips, connection, after } = conversation();
  trips.asked(connection);
  after(3).answered(connection, false);
  after(20).asked(connection);
  after(1).answered(connection, true);
  after(320).asked(connection);
  assert.equal(trips.proofMs(connection), 300);
});

test('requests that come between challenge and proof do not shorten it', () => {
  const { trips, connection, after } = conversation();
  trips.asked(connection);
  trips.answered(connection, true);
  after(20).asked(connection);
  after(5).answered(connection, false);
  after(295).asked(connection);
  assert.equal(trips.proofMs(connection), 300);
});

test('without a challenge, or on a connection that was not heard of, it is not known', () => {
  const { trips, connection, after } = conversation();
  trips.asked(connection);
  assert.equal(trips.proofMs(connection), undefined);
  after(1).answered(connection, false);
  after(1).asked(connection);
  assert.equal(trips.proofMs(connection), undefined);
  assert.equal(trips.proofMs({}), undefined);
});

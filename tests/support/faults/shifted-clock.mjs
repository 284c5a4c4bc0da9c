// Loaded before a hub: its clock is wrong by EDGEKEEP_TEST_CLOCK_MS.
const shiftMs = Number(process.env['EDGEKEEP_TEST_CLOCK_MS'] ?? 0);
const now = Date.now.bind(Date);

globalThis.Date = class extends Date {
  constructor(...given) {
    if (given.length === 0) super(now() + shiftMs);
    else super(...given);
  }

  static now() {
    return now() + shiftMs;
  }
};

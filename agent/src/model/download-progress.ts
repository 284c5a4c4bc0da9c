// How far a download is, for the agent's events: at its beginning and at each further tenth, and only where a person would wait for it.

/** Less is there in a moment. */
const TOLD_BYTES_MIN = 1_000_000;

export type Progress = (done: number, bytes: number) => void;

/** Passes a tenth on once; the end has an event of its own. */
export function inTenths(tell: Progress): Progress {
  let told = -1;
  return (done, bytes) => {
    if (bytes < TOLD_BYTES_MIN) return;
    const tenth = Math.floor((done * 10) / bytes);
    if (tenth <= told || tenth >= 10) return;
    told = tenth;
    tell(done, bytes);
  };
}

// Every limit of the guard's server, with its reason. spec/inference.md section 5 has the same numbers.

/** A batch of eight 3x512x512 images as JSON text, or forty as binary. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;
/** All request bodies in memory at once: four of the largest. */
export const BODIES_BYTES_MAX = 4 * BODY_BYTES_MAX;
/** The protocol's own headers need a few hundred bytes. */
export const HEADER_BYTES_MAX = 8 * 1024;
/** Local applications use a few each; every connection costs memory. */
export const CONNECTIONS_MAX = 128;
/** Requests that wait for the model. One inference takes milliseconds; a longer queue only hides overload. */
export const WAITING_MAX = 64;
export const WAITING_MS_MAX = 10_000;
/** What is read and thrown away of a body that is refused, so that a client which sends before it reads gets the answer. */
export const DISCARDED_BYTES_MAX = 8 * BODY_BYTES_MAX;
/** Calls that watch the health of the guard: one for each channel of a client, and each keeps its connection. */
export const WATCHES_MAX = 16;
/** Compressing a shorter answer costs more than it saves. */
export const COMPRESSED_BYTES_MIN = 1024;
/** From a request's first byte to its last header line, and to its end: a local client needs neither. */
export const HEADERS_MS_MAX = 5_000;
export const REQUEST_MS_MAX = 10_000;
/** How long a guard that is being replaced waits for its last requests: as long as the longest of them. */
export const RETIRE_MS_MAX = REQUEST_MS_MAX;
/** A connection without progress, also while we answer: a client that does not read. */
export const IDLE_MS_MAX = 30_000;
/** Longest tensor name, id or parameter text. */
export const TEXT_MAX = 256;
/** Parameters of a request, an input or an output: clients send up to eight. */
export const PARAMETERS_MAX = 32;
/** Inputs of a request, and requested outputs. */
export const TENSORS_MAX = 64;
/** Objects of a request: itself, each input and output, and the parameters of each. */
export const OBJECTS_MAX = 2 * (1 + 2 * TENSORS_MAX);
/** Members of all of them: the fields of the protocol, and parameters. Ten times what clients send. */
export const MEMBERS_MAX = 8_192;
/** Lists in the JSON of a request: data nested as its shape says. A list costs memory of its own, however few elements it has. */
export const LISTS_MAX = 1024 * 1024;
/** ONNX models in use have at most five or six dimensions. */
export const RANK_MAX = 8;
/** Elements of one tensor: what the largest body can hold as one-byte elements. */
export const ELEMENTS_MAX = BODY_BYTES_MAX;
/** Images of one batch: the response has statistics and a verdict for each. */
export const IMAGES_MAX = 256;

// The only import of ONNX Runtime. Its official Linux builds collect telemetry unless told not to: a device id and events, stored under
// ~/.cache/Microsoft and sent to its maker. The variable is read when the first session is made, so setting it here is early enough.
import { InferenceSession, Tensor } from 'onnxruntime-node';

process.env['ORT_DISABLE_TELEMETRY'] = '1';

export { InferenceSession, Tensor };

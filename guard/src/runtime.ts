// The only door to ONNX Runtime. Its official Linux builds collect telemetry unless told otherwise: a device id and events kept under
// ~/.cache/Microsoft and sent to its maker. The variable is read when the first session is made, so it is in time here.
import { InferenceSession, Tensor } from 'onnxruntime-node';

process.env['ORT_DISABLE_TELEMETRY'] = '1';

export { InferenceSession, Tensor };

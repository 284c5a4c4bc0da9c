// ONNX Runtime's messages without the parts for its own makers: colors of its log, and files and functions of its C++ code.
import { messageOf } from '@edgekeep/core/message-of';

// oxlint-disable-next-line eslint/no-control-regex -- these are what is removed
const terminalCodes = /\u001b\[[0-9;]*m/g;
const logPrefix = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \[[A-Z]:onnxruntime:[^\]]*\] /gm;
/** `/onnxruntime_src/…/x.cc:235 onnxruntime::X::X(const std::string&)::<lambda()> `. */
const codePlace =
  /\/?(?:[\w.-]+\/)+[\w.-]+\.(?:cc|cpp|h|hpp):\d+ (?:[^\n]*?\)(?:::<lambda\([^)]*\)>)?(?: const)? (?:\[[^\]]*\] )?)?/g;

export function runtimeMessage(error: unknown): string {
  return plainRuntimeText(messageOf(error));
}

function plainRuntimeText(text: string): string {
  return text.replaceAll(terminalCodes, '').replaceAll(logPrefix, '').replaceAll(codePlace, '').trim();
}

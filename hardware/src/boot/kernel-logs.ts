// Where Linux shows what was measured on this machine.
export const kernelFirmwareLog = '/sys/kernel/security/tpm0/binary_bios_measurements';
export const kernelImaLog = '/sys/kernel/security/ima/binary_runtime_measurements';
/** Of systemd 255 and later; it measures only where systemd-stub started the kernel. */
export const systemdLog = '/run/log/systemd/tpm2-measure.log';

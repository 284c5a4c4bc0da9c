// What npm cannot install, by part: the programs or files that show that the part is there, the Debian packages that contain it, and what
// does not work without it. A program that a test, the demo or a benchmark starts must be listed here: `tests/setup.test.ts` finds one that
// was forgotten.

export const parts = {
  system: {
    programs: [
      'sh',
      'bash',
      'cat',
      'cp',
      'install',
      'env',
      'ls',
      'tail',
      'find',
      'mkfifo',
      'tar',
      'unshare',
      'setpriv',
      'prlimit',
      'mount',
      'umount',
      'chroot',
      'script',
    ],
    packages: ['bash', 'coreutils', 'findutils', 'util-linux', 'bsdutils', 'mount', 'tar', 'gzip'],
    without: 'tools of the system are missing: the guard runs without the walls that need them',
  },
  swtpm: {
    programs: ['swtpm', 'swtpm_setup', 'swtpm_localca'],
    packages: ['swtpm', 'swtpm-tools'],
    without: 'no TPM simulator: TPM devices are left out',
  },
  'tpm2-tools': {
    programs: [
      'tpm2_checkquote',
      'tpm2_createprimary',
      'tpm2_dictionarylockout',
      'tpm2_eventlog',
      'tpm2_flushcontext',
      'tpm2_nvread',
      'tpm2_pcrextend',
      'tpm2_quote',
      'tpm2_readpublic',
      'tpm2_verifysignature',
    ],
    packages: ['tpm2-tools'],
    without: 'no tpm2-tools: agreement with them is not tested',
  },
  openssl: {
    programs: ['openssl'],
    packages: ['openssl'],
    without: 'no openssl: agreement with it is not tested',
  },
  strongswan: {
    programs: ['pki'],
    files: ['/usr/lib/ipsec/plugins/libstrongswan-openssl.so'],
    packages: ['strongswan-pki', 'libstrongswan-standard-plugins'],
    without: "no pki of strongSwan: enrollment with another project's client is not tested",
  },
  haproxy: {
    programs: ['haproxy'],
    packages: ['haproxy'],
    without: 'no haproxy: a TCP balancer in front of a hub is tested with our own alone',
  },
  rsyslog: {
    programs: ['rsyslogd'],
    packages: ['rsyslog', 'rsyslog-openssl'],
    without: 'no rsyslog: alerts by syslog are not tested with a real server',
  },
  tinyproxy: {
    programs: ['tinyproxy'],
    packages: ['tinyproxy-bin'],
    without: 'no tinyproxy: the way through an HTTP proxy is tested with our own alone',
  },
  curl: { programs: ['curl'], packages: ['curl'], without: 'no curl: the HTTP examples are not tested' },
  python: {
    programs: ['python3'],
    files: ['/usr/lib/python3/dist-packages/cryptography/__init__.py'],
    packages: ['python3', 'python3-cryptography'],
    without: 'no python3-cryptography: the Python verifiers are not tested',
  },
  pkits: {
    files: ['/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data/certs'],
    packages: ['python3-cryptography-vectors'],
    without: "no python3-cryptography-vectors: NIST's suite of certificate paths is not tested",
  },
  jwt: {
    files: ['/usr/lib/python3/dist-packages/jwt/__init__.py'],
    packages: ['python3', 'python3-jwt'],
    without: 'no python3-jwt: agreement with it is not tested',
  },
  compiler: {
    programs: ['g++', 'cc', 'objcopy', 'make', 'python3'],
    packages: ['g++', 'make', 'python3'],
    without: 'no C++ compiler: the PKCS#11 binding is not built, secure elements are left out',
  },
  libcrypto: {
    files: ['/usr/include/openssl/evp.h'],
    packages: ['libssl-dev'],
    without: 'no libssl-dev: the verifier in C is not tested',
  },
  softhsm: {
    programs: ['softhsm2-util'],
    packages: ['softhsm2'],
    without: 'no SoftHSM2: secure elements are not tested',
  },
  systemd: {
    programs: ['systemd-analyze', 'systemd-socket-activate'],
    packages: ['systemd'],
    without: 'no systemd: the units are not rated, and not run as it would',
  },
  opensc: {
    programs: ['pkcs11-tool'],
    packages: ['opensc'],
    without: 'no pkcs11-tool: agreement with it is not tested',
  },
  shells: {
    programs: ['zsh', 'fish'],
    packages: ['zsh', 'fish'],
    without: 'no zsh or no fish: completion in them is not tested',
  },
  spin: {
    programs: ['spin'],
    packages: ['spin'],
    without: 'no spin: the model of the protocol is not checked',
  },
  walk: {
    programs: ['ip', 'jq', 'basenc'],
    packages: ['iproute2', 'jq', 'coreutils'],
    without: 'no ip or no jq: the commands of the pages are not typed',
  },
  network: {
    programs: ['ip'],
    packages: ['iproute2'],
    without: 'no ip: the network between a hub and its database is not cut',
  },
  time: { programs: ['time'], packages: ['time'], without: 'no GNU time: the memory of programs is not measured' },
  podman: {
    programs: ['podman', 'runc'],
    packages: ['podman', 'runc'],
    without: 'no podman: guards in containers, and their limits of memory, are not tested',
  },
  'arm64-compiler': {
    programs: ['aarch64-linux-gnu-gcc', 'aarch64-linux-gnu-objcopy'],
    packages: ['gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross'],
    without: 'no compiler for arm64: the filter of the guard is not tested for it',
  },
  machines: {
    programs: ['qemu-system-x86_64', 'swtpm_ioctl', 'dpkg-deb', 'apt-cache'],
    files: ['/usr/share/OVMF/OVMF_CODE_4M.secboot.fd'],
    packages: ['qemu-system-x86', 'ovmf', 'swtpm-tools', 'dpkg', 'apt'],
    without: 'no machine with a firmware: real boots are not tested',
  },
  'device-disks': {
    programs: ['ldd', 'mke2fs'],
    packages: ['libc-bin', 'e2fsprogs'],
    without: 'no mke2fs: boots with the agent inside are not tested',
  },
  'image-signing': {
    programs: ['sbsign', 'objcopy'],
    packages: ['sbsigntool', 'binutils'],
    without: 'no sbsign: unified kernel images are not booted',
  },
  packaging: {
    programs: [
      'aarch64-linux-gnu-g++',
      'aarch64-linux-gnu-strip',
      'aarch64-linux-gnu-objdump',
      'dpkg-deb',
      'mmdebstrap',
      'man',
    ],
    packages: ['g++-aarch64-linux-gnu', 'binutils', 'dpkg', 'xz-utils', 'mmdebstrap', 'man-db'],
    without: 'packages for arm64, and images, are not built',
  },
  kubectl: {
    programs: ['kubectl'],
    packages: ['kubernetes-client'],
    without: 'no kubectl: the manifests for Kubernetes are not rendered',
  },
  promtool: {
    programs: ['promtool'],
    packages: ['prometheus'],
    without: 'no promtool: the metrics of hub and agent are not held against it',
  },
  postgresql: {
    // The server itself is in a folder of its version; with it come these.
    programs: ['pg_createcluster', 'psql', 'setpriv', 'id'],
    packages: ['postgresql', 'util-linux', 'coreutils'],
    without: 'no PostgreSQL: the store is tested on SQLite alone',
  },
  swift: {
    programs: ['setpriv', 'id'],
    files: ['/usr/lib/python3/dist-packages/swift/common/middleware/s3api/s3api.py'],
    packages: ['python3-swift', 'python3', 'util-linux', 'coreutils'],
    without: 'no swift: a bucket for models is tested with a server of our own alone',
  },
  grpc: {
    programs: ['protoc', 'python3'],
    files: ['/usr/lib/python3/dist-packages/grpc/__init__.py'],
    packages: ['protobuf-compiler', 'python3', 'python3-grpcio', 'python3-protobuf'],
    without: 'no gRPC for Python: the guard is not asked by a client in another language',
  },
  age: { programs: ['age', 'age-keygen'], packages: ['age'], without: 'no age: it is missing among the peers' },
};

/** Which parts each command needs. */
export const sets = {
  packages: [],
  start: ['system', 'swtpm'],
  test: [
    'system',
    'swtpm',
    'tpm2-tools',
    'openssl',
    'curl',
    'tinyproxy',
    'rsyslog',
    'haproxy',
    'walk',
    'strongswan',
    'python',
    'pkits',
    'jwt',
    'compiler',
    'libcrypto',
    'softhsm',
    'systemd',
    'opensc',
    'shells',
    'spin',
    'time',
    'machines',
    'kubectl',
    'postgresql',
    'swift',
  ],
  // Real boots: `npm run boots`. Shim, GRUB and kernels are downloaded and unpacked by the tests, and not installed.
  boots: ['system', 'swtpm', 'openssl', 'machines', 'image-signing', 'device-disks'],
  // Large, and needed by few tests, which are skipped by name without: `node scripts/setup.mjs optional`.
  optional: ['podman', 'arm64-compiler', 'promtool', 'grpc'],
  // What people install: `npm run package`, and `npm run platforms`, which tries it in fresh systems.
  package: ['system', 'compiler', 'packaging'],
  platforms: ['system', 'compiler', 'packaging', 'podman'],
  bench: ['system', 'swtpm', 'openssl', 'python', 'compiler', 'spin', 'time', 'age', 'postgresql', 'network'],
};

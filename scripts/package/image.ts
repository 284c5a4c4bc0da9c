// An OCI image from scratch, as an archive that podman, docker and skopeo load. Layout: OCI image-spec 1.1. Two layers: what is from Debian,
// and the tree, so that an upgrade moves the tree alone.
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { imageUser, writeBase } from './base.ts';
import { agentNodeOptions, keyProcessOptions } from '@edgekeep/cli/program';
import { run } from './command.ts';
import { treePlace } from './layout.ts';
import type { Architecture } from './native.ts';
import { type Part, setModes, version } from './tree.ts';

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const dataOf: Readonly<Record<Part, readonly string[]>> = {
  hub: ['var/lib/edgekeep/hub'],
  agent: ['var/lib/edgekeep/agent', 'run/edgekeep'],
};

export function writeImage(
  work: string,
  tree: string,
  out: string,
  {
    part,
    architecture,
    epochSeconds,
  }: {
    readonly part: Part;
    readonly architecture: Architecture;
    readonly epochSeconds: number;
  },
): string {
  const layout = join(work, 'layout');
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const { folders, packages } = writeLayers(work, tree, part, architecture);
  const blob = (content: Uint8Array, mediaType: string): Blob => {
    const digest = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(layout, 'blobs/sha256', digest), content);
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  };
  const layers = folders.map((folder) => {
    const tar = tarOf(folder, epochSeconds);
    const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
    return { diffId, ...blob(gzipSync(tar, { level: 9 }), 'application/vnd.oci.image.layer.v1.tar+gzip') };
  });
  const created = new Date(epochSeconds * 1_000).toISOString();
  const config = json({
    created,
    architecture,
    os: 'linux',
    config: configOf(part, packages),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: ['Debian libraries', `edgekeep-${part}`].map((comment) => ({ created, comment })),
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: blob(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  });
  const described = {
    ...blob(manifest, 'application/vnd.oci.image.manifest.v1+json'),
    platform: { architecture, os: 'linux' },
    annotations: { 'org.opencontainers.image.ref.name': `localhost/edgekeep-${part}:${version}` },
  };
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [described] };
  writeFileSync(join(layout, 'index.json'), json(index));
  writeFileSync(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  const target = join(out, `edgekeep-${part}_${version}_${architecture}.oci.tar`);
  setModes(layout);
  writeFileSync(target, tarOf(layout, epochSeconds));
  rmSync(work, { recursive: true });
  return relative(out, target);
}

/** The folder of each layer, the lower one first. */
function writeLayers(work: string, tree: string, part: Part, architecture: Architecture) {
  const base = join(work, 'base');
  const own = join(work, 'own');
  for (const folder of [base, own]) mkdirSync(folder, { recursive: true });
  cpSync(tree, join(own, treePlace(part)), { recursive: true });
  const native = part === 'agent' ? nativeOf(tree, architecture) : [];
  const packages = writeBase(base, join(work, 'debian'), part, architecture, [join(tree, 'bin/node'), ...native]);
  setModes(base);
  setModes(own);
  for (const path of dataOf[part]) {
    mkdirSync(join(own, path), { recursive: true });
    chmodSync(join(own, path), path.startsWith('run') ? 0o750 : 0o700);
    chownSync(join(own, path), imageUser, imageUser);
  }
  return { folders: [base, own], packages };
}

function configOf(part: Part, packages: readonly string[]) {
  const node = `/${treePlace(part)}/bin/node`;
  const main = `/${treePlace(part)}/${part}/src/main.js`;
  return {
    User: `${imageUser}:${imageUser}`,
    // The command line of the hub's image is there for `hub init` and the like; it starts the hub with the options of that.
    Entrypoint:
      part === 'hub'
        ? [node, ...keyProcessOptions, `/${treePlace(part)}/cli/src/main.js`]
        : [node, ...keyProcessOptions, ...agentNodeOptions, main],
    ...(part === 'hub' ? { Cmd: ['hub', 'run'], ExposedPorts: { '8443/tcp': {}, '8444/tcp': {} } } : {}),
    WorkingDir: '/',
    StopSignal: 'SIGTERM',
    Volumes: Object.fromEntries(dataOf[part].map((path) => [`/${path}`, {}])),
    Env: ['PATH=/usr/bin:/usr/sbin'],
    Labels: {
      'org.opencontainers.image.title': `edgekeep-${part}`,
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'edgekeep.debian-packages': packages.join(' '),
    },
  };
}

function nativeOf(tree: string, architecture: Architecture): readonly string[] {
  const folder = join(
    tree,
    'node_modules/onnxruntime-node/bin/napi-v6/linux',
    architecture === 'amd64' ? 'x64' : 'arm64',
  );
  return ['libonnxruntime.so.1', 'onnxruntime_binding.node'].map((name) => join(folder, name));
}

const json = (value: object) => Buffer.from(JSON.stringify(value));

/** Names in order, one time, owners by number: two runs give the same bytes. */
export function tarOf(folder: string, epochSeconds: number, owners: readonly string[] = []): Buffer {
  const archive = `${folder}.tar`;
  const options = ['--sort=name', `--mtime=@${epochSeconds}`, '--numeric-owner', '--format=gnu', ...owners];
  run('tar', [...options, '-C', folder, '-cf', archive, '.']);
  const bytes = readFileSync(archive);
  rmSync(archive);
  return bytes;
}

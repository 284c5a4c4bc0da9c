// Opens the files of a publisher as a device would: the same choice of files, the same reader, the same sessions.
import { openSync, statSync } from 'node:fs';
import { filesForGuard } from '@edgekeep/core/model/guard-files';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import type { GuardToolOrder } from '@edgekeep/core/model/guard-tool';
import { GuardError } from '../error.ts';
import { GuardedModel } from '../model/guarded-model.ts';
import { readModels } from '../model/model-bytes.ts';
import { ModelSession } from '../model/session.ts';

export type ToolFiles = GuardToolOrder['files'];

export interface OpenSessions {
  readonly primary: ModelSession;
  readonly fallback: ModelSession | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @throws GuardError `model-load`, `model-interface`, `file-read` */
export async function openSessions(files: ToolFiles): Promise<OpenSessions> {
  await using opening = new AsyncDisposableStack();
  const bytes = readModels(
    filesForGuard(files).map(({ path, role, mediaType, file }) => ({
      path,
      role,
      mediaType,
      size: sizeOf(file),
      descriptor: openSync(file, 'r'),
    })),
  );
  const primary = opening.use(await ModelSession.open(bytes.primary));
  const fallback = bytes.fallback && opening.use(await ModelSession.open(bytes.fallback));
  const opened = opening.move();
  return { primary, fallback, [Symbol.asyncDispose]: async () => opened.disposeAsync() };
}

/** The name is not part of any verdict. */
export function guarded(sessions: OpenSessions, settings: GuardSettings | undefined): GuardedModel {
  const { primary, fallback } = sessions;
  return new GuardedModel({ name: 'model', version: '0' }, { primary, fallback }, settings);
}

function sizeOf(file: string): number {
  const { size } = statSync(file);
  if (size === 0) throw new GuardError('file-read', `${file} is empty`);
  return size;
}

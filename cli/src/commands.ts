// Every verb and where it lives; each is loaded only when it is asked for, so `--help` and offline verbs start fast.
import type { Command } from './command.ts';

export const commands: Readonly<Record<string, () => Promise<Command>>> = {};

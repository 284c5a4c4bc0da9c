// What a device would say of a model, before it is signed: both models load, have what the settings name, and answer once.
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import type { GuardToolReport } from '@edgekeep/core/model/guard-tool';
import { messageOf } from '@edgekeep/core/message-of';
import { GuardedModel } from '../model/guarded-model.ts';
import type { ModelSession } from '../model/session.ts';
import { allocate, type TensorInterface, type TensorValue } from '../tensors/tensor.ts';
import { guarded, openSessions, type ToolFiles } from './open-model.ts';

/** Sizes that the request chooses, for the one trial: a batch of one, and sides that most networks for images accept. */
const trialBatch = 1;
const trialSide = 224;

/** @throws GuardError what a device would refuse */
export async function check(files: ToolFiles, settings: GuardSettings | undefined): Promise<GuardToolReport> {
  await using sessions = await openSessions(files);
  const { primary, fallback } = sessions;
  guarded(sessions, settings);
  const warnings: string[] = [];
  for (const [role, session] of [
    ['primary', primary],
    ['fallback', fallback],
  ] as const) {
    const untried = session && (await trial(role, session, settings));
    if (untried !== undefined) warnings.push(untried);
  }
  const channels = settings === undefined ? undefined : unusualChannels(primary, settings);
  if (channels !== undefined) warnings.push(channels);
  const { inputs, outputs } = primary;
  return {
    kind: 'checked',
    primary: { inputs: [...inputs].map(plain), outputs: [...outputs].map(plain) },
    ...(fallback && { fallback: { inputs: fallback.inputs.map(plain), outputs: fallback.outputs.map(plain) } }),
    warnings,
  };
}

function plain({ name, datatype, shape }: TensorInterface) {
  return { name, datatype, shape: [...shape] };
}

/** Runs a model once on zeros. Undefined when it answered; a model whose sizes are its own choice may have refused the sizes of the trial. */
async function trial(
  role: string,
  session: ModelSession,
  settings: GuardSettings | undefined,
): Promise<string | undefined> {
  const model = new GuardedModel({ name: role, version: '0' }, { primary: session, fallback: undefined }, settings);
  const outputs = model.outputs.map(({ name }) => ({ name, binary: true }));
  try {
    await model.infer({ id: undefined, inputs: model.inputs.map(zeros), outputs });
    return undefined;
  } catch (error) {
    const free = model.inputs.some(({ shape }) => shape.slice(1).includes(-1));
    if (!free) throw error;
    return `the ${role} model was not tried, because requests choose its sizes: on zeros of sizes of ours it said: ${messageOf(error)}`;
  }
}

function zeros({ name, datatype, shape }: TensorInterface): TensorValue {
  const sizes = shape.map((size, at) => (size !== -1 ? size : at > 1 && shape.length === 4 ? trialSide : trialBatch));
  const length = sizes.reduce((product, size) => product * size, 1);
  const data = datatype === 'BYTES' ? Array.from({ length }, () => '') : allocate(datatype, length);
  return { name, datatype, shape: sizes, data };
}

/** A layout that is named wrongly makes width or height a number of channels. */
function unusualChannels({ inputs }: ModelSession, { input }: GuardSettings): string | undefined {
  const shape = inputs.find(({ name }) => name === input.name)?.shape ?? [];
  const channels = input.layout === 'NCHW' ? shape[1] : shape[3];
  if (channels === undefined || channels === -1 || channels <= 4) return undefined;
  return `layout ${input.layout} means ${channels} channels for ${input.name} [${shape.join(',')}]: is that right?`;
}

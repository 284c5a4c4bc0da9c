// Why the chain of a DICE device is refused, and how its layers differ from the reference values (spec/dice.md). `../reason.ts` joins the codes.

export const diceReasonCodes = [
  'dice-path-refused',
  'dice-profile-refused',
  'dice-layer-missing',
  'dice-layer-order',
  'dice-device-differs',
  'dice-layer-unexpected',
  'dice-field-differs',
  'dice-fwid-unexpected',
  'dice-svn-too-low',
  'dice-flag-set',
] as const;

export type DiceReasonCode = (typeof diceReasonCodes)[number];

export interface DiceReason {
  readonly code: DiceReasonCode;
  readonly message: string;
  /** The DICE layer it is about. */
  readonly layer?: number;
}

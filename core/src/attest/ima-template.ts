// The templates of the IMA log (kernel, security/integrity/ima/ima_template.c): the fields of an entry, in order.

const fieldNames = [
  'd',
  'n',
  'd-ng',
  'd-ngv2',
  'n-ng',
  'sig',
  'buf',
  'd-modsig',
  'modsig',
  'evmsig',
  'iuid',
  'igid',
  'imode',
  'xattrnames',
  'xattrlengths',
  'xattrvalues',
] as const;

export type ImaField = (typeof fieldNames)[number];

/** The kernel's maximum (IMA_TEMPLATE_NUM_FIELDS_MAX). */
const FIELDS_MAX = 15;

/** The kernel's own, except `ima`: its entries have another form. */
const templates: ReadonlyMap<string, string> = new Map([
  ['ima-ng', 'd-ng|n-ng'],
  ['ima-sig', 'd-ng|n-ng|sig'],
  ['ima-ngv2', 'd-ngv2|n-ng'],
  ['ima-sigv2', 'd-ngv2|n-ng|sig'],
  ['ima-buf', 'd-ng|n-ng|buf'],
  ['ima-modsig', 'd-ng|n-ng|sig|d-modsig|modsig'],
  ['evm-sig', 'd-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode'],
]);

/** The fields of a template. One that a device defines (`ima_template_fmt=`) is logged under its list of fields. Undefined for any other name. */
export function imaFieldsOf(template: string): readonly ImaField[] | undefined {
  const names = (templates.get(template) ?? template).split('|');
  if (names.length > FIELDS_MAX) return undefined;
  const fields = names.map((name) => fieldNames.find((known) => known === name));
  return fields.every((field) => field !== undefined) ? fields : undefined;
}

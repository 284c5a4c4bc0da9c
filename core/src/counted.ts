// A number with its noun, as people read it.

/** `1 device`, `2 devices`; `many` where the plural is not the word with an s. */
export function counted(count: number, word: string, many = `${word}s`): string {
  return `${count} ${count === 1 ? word : many}`;
}

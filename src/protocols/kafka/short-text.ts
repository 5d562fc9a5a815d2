/**
 * The beginning of a text that is kept for long. A part of a string keeps the whole string in
 * memory, and texts of clients can be long: this is a copy.
 */
export function shortText(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  return Buffer.from(text.slice(0, charactersMax)).toString();
}

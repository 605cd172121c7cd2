/** Edits one source while it is bundled: see edited-bundle.ts. */
module.exports = function edit(source) {
  const { find, replace } = this.getOptions();
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(`${this.resourcePath} has ${parts.length - 1} times, not once: ${find}`);
  }
  return parts.join(replace);
};

/**
 * Golden histories that need not replay any more, each with the reason why no delivery like it can be open: those from before a
 * change whose `patched` has been taken out. They stay where they are. See docs/deploying-workflows.md.
 */
export const RETIRED: Readonly<Record<string, string>> = {};

/** What the texts of a stop may be: for its schema, and for workflow code, which cannot load that. */
export const STOP_LIMITS = {
  addressLength: 500,
  notesLength: 1000,
  nameLength: 200,
  emailLength: 254,
  /** E.164. */
  phone: '^\\+[1-9][0-9]{6,14}$',
} as const;

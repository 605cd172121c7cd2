/** When the process began, in the system's own notation; undefined when there is none, or only its remains (a zombie). */
export function beginningOf(pid: number): string | undefined;

/** True while the very process that was remembered runs. */
export function isSameProcess(pid: number, beginning: string | undefined): boolean;

// Which process a number means. A number is given to another process once its own is gone, so a process that is to be
// signalled later is remembered by its number and the time it began. Plain Node: the keeper runs without a compiler.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const HAS_PROC = existsSync('/proc/self/stat');

/** When the process began, in the system's own notation; undefined when there is none, or only its remains (a zombie). */
export function beginningOf(pid) {
  return HAS_PROC ? beginningByProc(pid) : beginningByPs(pid);
}

/** True while the very process that was remembered runs. */
export function isSameProcess(pid, beginning) {
  return beginning !== undefined && beginningOf(pid) === beginning;
}

function beginningByProc(pid) {
  let stat;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the command in brackets and may hold anything; the third is the state, the 22nd the beginning.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

function beginningByPs(pid) {
  try {
    const [state, ...beginning] = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .trim()
      .split(/\s+/);
    return state === undefined || state.startsWith('Z') ? undefined : beginning.join(' ');
  } catch {
    return undefined;
  }
}

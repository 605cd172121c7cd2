/** A part of the bench: what it is given and what it answers. Each starts a system of its own, so that each runs alone. */
import type { CpuByRole } from '../cpu.ts';
import type { Figure } from '../figures.ts';

export interface SectionContext {
  /** A smoke run: everything is done, briefly; the figures say little. */
  quick: boolean;
  /** How many deliveries at once; each section has levels of its own unless told. */
  inFlight: number[] | undefined;
  say: (what: string) => void;
}

/** Where the CPU went while something was measured. */
export interface CpuUse {
  /** `deliveries at 16 in flight` */
  of: string;
  /** How many were completed meanwhile. */
  completed: number;
  windowS: number;
  /** CPU seconds of the window, by role. */
  byRole: CpuByRole;
}

export interface SectionResult {
  figures: Figure[];
  cpu: CpuUse[];
  /** What ran beside, what was left out: sentences for the reader. */
  remarks: string[];
}

export type Section = (context: SectionContext) => Promise<SectionResult>;

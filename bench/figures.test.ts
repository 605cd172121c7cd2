import { describe, expect, it } from 'vitest';
import { figureMarkdown, machineLine, plainFigure, ratioFigure, short } from './figures.ts';

const deliveries = (value: number) =>
  ratioFigure(
    { id: 'deliveries_16', name: 'deliveries', value, unit: '/s', floor: { name: 'no-ops', value: 20 } },
    { is: 'at least', ratio: 0.6 },
  );

describe('figures', () => {
  it('meet an aim by their ratio to the floor', () => {
    expect(deliveries(12)).toMatchObject({ ratio: 0.6, aim: { says: '≥ 0.6 × floor', met: true } });
    expect(deliveries(11.9).aim?.met).toBe(false);
  });

  it('meet an aim by themselves', () => {
    const actions = (value: number) =>
      plainFigure({ id: 'actions', name: 'actions', value, unit: 'actions' }, { is: 'at most', value: 20 });
    expect(actions(20).aim).toEqual({ says: '≤ 20 actions', met: true });
    expect(actions(21).aim?.met).toBe(false);
  });

  it('are nothing without a floor that moved', () => {
    expect(
      ratioFigure({ id: 'x', name: 'x', value: 1, unit: '', floor: { name: 'f', value: 0 } }).ratio,
    ).toBe(0);
  });

  it('are told to machines in one line', () => {
    const p95 = plainFigure({ id: 'confirmed_p95', name: 'p95', value: 123.456, unit: 'ms' });
    expect(machineLine([deliveries(13), p95])).toBe(
      'bench deliveries_16=13 ratio=0.650 met=yes; confirmed_p95=123.5',
    );
  });

  it('are rows of a page', () => {
    expect(
      figureMarkdown([deliveries(13)])
        .split('\n')
        .at(-1),
    ).toBe('| deliveries | 13 /s | 20 (no-ops) | 0.65 | ≥ 0.6 × floor | yes |');
  });

  it('are shown with three digits that count', () => {
    expect([0.012345, 1.2345, 99.94, 1234.5].map(short)).toEqual(['0.0123', '1.23', '99.9', '1,235']);
  });
});

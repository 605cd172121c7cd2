/**
 * The workflow code as a developer might change it: the sources with some lines edited while they are bundled. An edit whose
 * text is not there any more fails, so that no test goes on with code that nobody has changed.
 */
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundle } from '@temporalio/worker';
import path from 'node:path';
import { WORKFLOWS_PATH } from '../../workers/bundle.ts';
import { replayDataConverter } from './histories.ts';

export interface Edit {
  /** Below `workflows/`. */
  file: string;
  find: string;
  replace: string;
}

const LOADER = path.join(import.meta.dirname, 'edit-loader.cjs');

export function editedBundle(edits: readonly Edit[]): Promise<WorkflowBundle> {
  const rules = edits.map(({ file, ...edit }) => ({
    test: path.join(path.dirname(WORKFLOWS_PATH), file),
    // Before TypeScript becomes JavaScript.
    enforce: 'pre' as const,
    use: [{ loader: LOADER, options: edit }],
  }));
  const { failureConverterPath } = replayDataConverter;
  return bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    ...(failureConverterPath !== undefined && { failureConverterPath }),
    logger: new DefaultLogger('WARN'),
    webpackConfigHook: (config) => ({
      ...config,
      module: { ...config.module, rules: [...(config.module?.rules ?? []), ...rules] },
    }),
  });
}

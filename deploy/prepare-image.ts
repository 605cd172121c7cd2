/** Run while the image is built: makes what a container would otherwise make at each start, the bundle of the workflows. */
import { createDataConverter } from '../shared/temporal/data-converter.ts';
import { generatePayloadKey, parsePayloadKeys } from '../shared/temporal/codec.ts';
import { workflowBundle } from '../workers/bundle.ts';

// The bundle holds no key; the converter only says where its failure converter is.
const { failureConverterPath } = createDataConverter(parsePayloadKeys(generatePayloadKey('any')));
const { code } = await workflowBundle(failureConverterPath);
console.log(`The workflows are bundled: ${Math.round(code.length / 1024)} kB`);

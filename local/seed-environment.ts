/** What `npm run seed` takes from its environment. */
import { Type } from 'typebox';

const Key = (description: string) =>
  Type.Optional(Type.String({ minLength: 20, maxLength: 200, description }));

export const SeedEnvironment = Type.Object({
  ACCOUNT_URL: Type.String({ default: 'http://127.0.0.1:4101', description: 'The account service' }),
  DRONE_URL: Type.String({ default: 'http://127.0.0.1:4103', description: 'The drone service' }),
  OPERATOR_KEY: Key('Registered as an operator’s key'),
  DRONE_KEY: Key('Registered as the fleet’s key'),
  ACCOUNT_KEY: Key('Registered as a key of the ordinary demo account'),
});

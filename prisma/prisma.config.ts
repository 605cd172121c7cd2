// For Prisma's own command line, where its engine can be downloaded: it then works on the same migrations and the same
// migration table. It is not picked up unless named:
//
//   SERVICE=drone npx prisma migrate status --config prisma/prisma.config.ts
import { defineConfig } from 'prisma/config';
import { isServiceName, schemaOf, SERVICES } from './services.ts';

const service = process.env['SERVICE'] ?? '';
if (!isServiceName(service)) throw new Error(`SERVICE is required: one of ${SERVICES.join(', ')}`);

const variable = `${service.toUpperCase()}_OWNER_DATABASE_URL`;
const ownerUrl = process.env[variable];
if (ownerUrl === undefined)
  throw new Error(`${variable} is required: the URL of the role that owns the schema`);

const url = new URL(ownerUrl);
url.searchParams.set('schema', schemaOf(service));

export default defineConfig({
  schema: `${service}/schema.prisma`,
  migrations: { path: `${service}/migrations` },
  datasource: { url: url.href },
});

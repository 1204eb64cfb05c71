// Prints the users as Drizzle reads them, times in milliseconds since the epoch.
// Reads {databaseUrl, schema}: the file of the application's schema.
import { readFileSync } from "node:fs";
import { drizzle } from "drizzle-orm/node-postgres";

const { databaseUrl, schema: file } = JSON.parse(readFileSync(0, "utf8"));
const schema = await import(`./${file}`);
const database = drizzle(databaseUrl, { schema });
const users = await database.query.users.findMany({
  columns: { id: true, name: true, email: true, imageUrl: true, createdAt: true, updatedAt: true },
  orderBy: schema.users.id,
});
await database.$client.end();
console.log(
  JSON.stringify(
    users.map((user) => ({
      ...user,
      createdAt: user.createdAt.getTime(),
      updatedAt: user.updatedAt.getTime(),
    })),
  ),
);

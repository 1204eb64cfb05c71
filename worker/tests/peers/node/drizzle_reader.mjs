// Prints the users as Drizzle reads them, times in milliseconds since the epoch.
// Reads {databaseUrl}.
import { readFileSync } from "node:fs";
import { drizzle } from "drizzle-orm/node-postgres";
import * as schema from "./drizzle_schema.mjs";

const { databaseUrl } = JSON.parse(readFileSync(0, "utf8"));
const database = drizzle(databaseUrl, { schema });
const users = await database.query.users.findMany({ orderBy: schema.users.id });
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

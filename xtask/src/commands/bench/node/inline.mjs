// The usual route: the row is written before the answer.
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import pg from "pg";
import { users } from "./schema.mjs";
import { serve } from "./webhook_server.mjs";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const database = drizzle(pool);

serve(async ({ type, data }) => {
  switch (type) {
    case "user.created":
    case "user.updated": {
      const user = columns(data);
      await database.insert(users).values(user).onConflictDoUpdate({ target: users.id, set: user });
      break;
    }
    case "user.deleted":
      await database.delete(users).where(eq(users.id, data.id));
      break;
  }
});

function columns(data) {
  const primary = data.email_addresses.find(({ id }) => id === data.primary_email_address_id);
  return {
    id: data.id,
    name: [data.first_name, data.last_name].filter(Boolean).join(" ") || "User",
    email: primary.email_address,
    imageUrl: data.image_url,
    createdAt: new Date(data.created_at),
    updatedAt: new Date(data.updated_at),
  };
}

// People are invited by e-mail first. The times are those that Drizzle makes unless it is told otherwise, without a
// zone; `credits` and `seenAt` are written by the application alone.
import { integer, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core";

export const members = pgTable("members", {
  id: serial().primaryKey(),
  clerkId: text().unique(),
  email: text().notNull().unique(),
  name: text(),
  createdAt: timestamp(),
  updatedAt: timestamp(),
  credits: integer().notNull().default(10),
  seenAt: timestamp(),
});

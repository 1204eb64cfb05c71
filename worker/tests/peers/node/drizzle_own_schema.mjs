// The same by an application that creates the table itself, and has more in it. Its times are those that Drizzle
// makes unless it is told otherwise, without a zone.
import { pgTable, serial, timestamp, varchar } from "drizzle-orm/pg-core";

export const users = pgTable("users", {
  id: varchar({ length: 255 }).primaryKey(),
  name: varchar({ length: 255 }).notNull(),
  email: varchar({ length: 255 }).notNull().unique(),
  imageUrl: varchar({ length: 1000 }),
  createdAt: timestamp().notNull(),
  updatedAt: timestamp().notNull(),
  role: varchar({ length: 20 }).notNull().default("member"),
});

export const orders = pgTable("orders", {
  id: serial().primaryKey(),
  userId: varchar({ length: 255 })
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
});

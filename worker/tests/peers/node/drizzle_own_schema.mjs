// The same by an application that creates the table itself, and has more in it.
import { pgTable, serial, timestamp, varchar } from "drizzle-orm/pg-core";

export const users = pgTable("users", {
  id: varchar({ length: 255 }).primaryKey(),
  name: varchar({ length: 255 }).notNull(),
  email: varchar({ length: 255 }).notNull().unique(),
  imageUrl: varchar({ length: 1000 }),
  createdAt: timestamp({ withTimezone: true }).notNull(),
  updatedAt: timestamp({ withTimezone: true }).notNull(),
  role: varchar({ length: 20 }).notNull().default("member"),
});

export const orders = pgTable("orders", {
  id: serial().primaryKey(),
  userId: varchar({ length: 255 })
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
});

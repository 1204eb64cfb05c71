-- Names with quotes, dots, spaces and line breaks.
create type "a
type" as enum ('a"b', 'A"B', '{c}', 'user');
create table "my ""users" ("the
key" integer, "clerk id" text not null unique, "e-mail" text, "Ä"".=#" text, "first
name" "a
type" not null, "last name" text not null, "role" "a
type" not null, "{plan}" text not null, primary key ("clerk id", "{plan}"));
create table "two.profiles" (clerk_id text primary key, email text);
create table "a b" (id serial primary key, "x
y" text references "my ""users" ("clerk id"));

-- Auth.js beside Clerk: "Account" is a login, and "accounts" elsewhere are people. A waitlist, too.
create table "User" (id text primary key, "clerkUserID" text not null unique, name text, email text unique, "emailVerified" timestamp(3), image text);
create table "Account" (id text primary key, "userId" text not null references "User" (id) on delete cascade, provider text not null, "providerAccountId" text not null);
create table members (id serial primary key, clerk_id text unique, email text, first_name text, last_name text);
create table customers (id serial primary key, email text not null, name text not null);
create table waitlist (id text primary key, email text not null unique, status text not null default 'pending', created_at timestamptz not null default now());

-- Two schemas of the search path, and one that is not in it. A partition is no table of its own.
create schema app;
create schema other;
create table app."User" (id serial primary key, "clerkId" text unique, email text);
create table other.users (id text primary key, email text not null, clerk_id text unique);
create table users (id serial primary key, name text);
create table app.people (clerk_id text primary key, email text) partition by list (clerk_id);
create table app.people_of_the_rest partition of app.people default;
do $$ begin execute format('alter database %I set search_path = app, public', current_database()); end $$;

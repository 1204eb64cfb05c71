-- Supabase: profiles with an id that Clerk's cannot be, in a schema beside auth.
create schema auth;
create table auth.users (id uuid primary key, email text);
create table profiles (id uuid primary key references auth.users (id) on delete cascade, username text unique, full_name text, avatar_url text, website text,
  updated_at timestamptz);
create table customers (id uuid primary key references auth.users (id), stripe_customer_id text);

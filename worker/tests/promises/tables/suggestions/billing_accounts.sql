-- Accounts that are organizations, and citext.
create extension citext;
create table accounts (id bigserial primary key, name text not null, billing_email text, clerk_organization_id text unique,
  plan text not null default 'free', created_at timestamptz not null default now());
create table users (id bigserial primary key, account_id bigint references accounts (id), clerk_id text not null unique, email citext not null unique,
  name text, avatar text, username citext unique, phone text, locked boolean not null default false, last_login timestamptz,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now());

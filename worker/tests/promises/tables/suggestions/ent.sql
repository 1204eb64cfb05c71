-- Go with ent: times under names of its own, and a profile that takes no NULL for its account.
create table accounts (id uuid primary key, clerk_user_id character varying not null, email character varying not null, display_name character varying,
  status character varying not null default 'active', create_time timestamptz not null, update_time timestamptz not null);
create unique index accounts_clerk_user_id_key on accounts (clerk_user_id);
create table profiles (id uuid primary key, account_id uuid not null unique references accounts (id), first_name text not null,
  last_name text not null, bio text, avatar text);

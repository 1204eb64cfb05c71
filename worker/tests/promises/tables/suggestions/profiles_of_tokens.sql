-- Supabase with Clerk's tokens: a default that only a request fills.
create table profiles (user_id text primary key default (current_setting('request.jwt.claims', true)::json->>'sub'), handle text unique not null,
  display_name text, avatar_url text, email text, bio text, is_admin boolean not null default false,
  inserted_at timestamptz not null default timezone('utc', now()), updated_at timestamptz not null default timezone('utc', now()));
create table posts (id bigserial primary key, user_id text not null references profiles (user_id), body text);

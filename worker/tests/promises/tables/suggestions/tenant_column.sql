-- A tenant in each row of the users, and ids that may be anybody's.
create table tenants (id uuid primary key default gen_random_uuid(), external_id text not null unique, name text not null,
  plan text not null default 'free', seats int not null default 1, status text not null default 'active', settings jsonb not null default '{}',
  created_at timestamptz not null default now());
create table users (id uuid primary key default gen_random_uuid(), tenant_id uuid not null references tenants (id) on delete cascade,
  external_id text not null unique, email text not null, first_name text, last_name text, role text not null default 'viewer',
  last_seen_at timestamptz, unique (tenant_id, email));

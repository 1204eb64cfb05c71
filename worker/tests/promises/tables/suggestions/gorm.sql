-- Go with gorm: everything takes NULL, soft deletion, the index is made in the application.
create table users (id bigserial primary key, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, clerk_id text, email text, name text, avatar_url text,
  role text default 'user', is_admin boolean);
create index idx_users_deleted_at on users (deleted_at);
create table workspaces (id bigserial primary key, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, clerk_org_id text unique, name text not null,
  owner_id bigint not null references users (id));
create table workspace_members (workspace_id bigint not null references workspaces (id), user_id bigint not null references users (id), role text not null default 'member',
  primary key (workspace_id, user_id));

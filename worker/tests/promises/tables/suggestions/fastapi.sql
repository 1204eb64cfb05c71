-- FastAPI with SQLModel: a table whose name is a word of SQL, and defaults that only Python knows.
create table "user" (id uuid primary key, email varchar(255) not null, is_active boolean not null, is_superuser boolean not null,
  full_name varchar(255), hashed_password varchar not null, clerk_id varchar, created_at timestamp without time zone not null default now(),
  updated_at timestamp without time zone);
create unique index ix_user_email on "user" (email);
create unique index ix_user_clerk_id on "user" (clerk_id);
create table item (id uuid primary key, title varchar(255) not null, owner_id uuid not null references "user" (id) on delete cascade);
create table alembic_version (version_num varchar(32) primary key);

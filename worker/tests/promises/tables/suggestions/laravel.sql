-- Laravel: a password that nobody needs, timestamps(0) that take NULL, soft deletion.
create table users (id bigserial primary key, name varchar(255) not null, email varchar(255) not null unique, email_verified_at timestamp(0), password varchar(255) not null,
  remember_token varchar(100), clerk_user_id varchar(255) not null unique, role varchar(255) not null check (role in ('admin', 'user')), plan_id bigint not null,
  created_at timestamp(0), updated_at timestamp(0), deleted_at timestamp(0));
create table sessions (id varchar(255) primary key, user_id bigint, payload text not null, last_activity integer not null);
create table password_reset_tokens (email varchar(255) primary key, token varchar(255) not null);

-- Laravel: Jetstream's teams, without foreign keys.
create table users (id bigserial primary key, name varchar(255) not null, email varchar(255) not null unique, email_verified_at timestamp(0),
  password varchar(255), remember_token varchar(100), current_team_id bigint, profile_photo_path varchar(2048), created_at timestamp(0),
  updated_at timestamp(0), clerk_id varchar(255) unique, two_factor_secret text, two_factor_confirmed_at timestamp(0),
  locale varchar(5) not null default 'en');
create table teams (id bigserial primary key, user_id bigint not null, name varchar(255) not null, personal_team boolean not null,
  clerk_org_id varchar(255) unique, created_at timestamp(0), updated_at timestamp(0));
create table team_user (id bigserial primary key, team_id bigint not null, user_id bigint not null, role varchar(255), created_at timestamp(0),
  updated_at timestamp(0), unique (team_id, user_id));
create table team_invitations (id bigserial primary key, team_id bigint not null references teams (id) on delete cascade, email varchar(255) not null,
  role varchar(255));
create table personal_access_tokens (id bigserial primary key, tokenable_id bigint not null, name varchar(255) not null);

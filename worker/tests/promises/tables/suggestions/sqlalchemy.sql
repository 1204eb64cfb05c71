-- SQLAlchemy: defaults that only Python knows, an enum in capitals, a boolean that marks who has left.
create type userrole as enum ('ADMIN', 'EDITOR', 'VIEWER');
create table app_users (id uuid not null primary key, external_id varchar not null unique, email_address varchar(320) not null unique, given_name varchar, surname varchar,
  display_name varchar not null, role userrole not null, is_active boolean not null, created timestamp not null, modified timestamp not null, settings json not null);
create table items (id serial primary key, owner uuid not null references app_users (id));

-- Nothing that looks like users; a view is no table.
create table posts (id serial primary key, author text not null, title text not null);
create table user_sessions (id text primary key, user_id text not null);
create table roles (id serial primary key, name text not null);
create view users as select author as id, 'x' as email from posts;

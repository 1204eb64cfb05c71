-- People who belong to a company: the application knows which.
create table companies (id bigserial primary key, clerk_org_id text unique, name text not null, domain text unique, owner_id bigint, industry text,
  created_at timestamptz default now(), deleted_at timestamptz);
create table employees (id bigserial primary key, company_id bigint not null references companies (id), clerk_user_id text unique,
  email text not null unique, first_name text not null, last_name text not null, job_title text, hired_on date,
  is_active boolean not null default true);
alter table companies add foreign key (owner_id) references employees (id);

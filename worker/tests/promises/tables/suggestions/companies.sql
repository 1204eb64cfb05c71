-- A business application: companies and people, ids without foreign keys, a date, milliseconds, and a language that
-- another table has to know.
create table languages (code text primary key);
create table companies (id uuid primary key default gen_random_uuid(), clerk_organization_id varchar(64) not null, company_name text not null, logo text not null default '/logo.png',
  tax_number text not null, created_on date not null);
create table people (id uuid primary key default gen_random_uuid(), clerk varchar(36), auth_id varchar(255) not null, name text not null, last_name text not null, mail text not null,
  mobile text, phone text, language text not null default 'en' references languages (code), last_login_at timestamptz not null, created bigint not null, company_id uuid not null);
create table company_people (company_id uuid not null, person_id uuid not null, unique (person_id, company_id));

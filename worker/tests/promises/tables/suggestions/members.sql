-- Members alone, with texts for ids.
create table members (id serial primary key, user_id text not null, organization_id text not null, role text not null default 'member', email text,
  created_at timestamptz default now(), unique (organization_id, user_id));

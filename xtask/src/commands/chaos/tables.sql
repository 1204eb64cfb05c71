-- What an application may have beside users, after `worker/src/database/create_users.sql`: ids of its own, foreign keys, and
-- a constraint that refuses some events.
alter table users add constraint nobody_is_refused check (name <> 'Refused');
create table organizations (
  id uuid primary key default gen_random_uuid(),
  clerk_id text not null unique,
  name text not null,
  slug text unique,
  updated_at timestamptz not null
);
create table memberships (
  organization_id uuid not null references organizations,
  user_id varchar(255) not null references users,
  clerk_id text not null,
  role text not null,
  desk text,
  primary key (organization_id, user_id)
);

-- Tells from outside the ledger what was written, and how often. A row that makes room for another one
-- (see worker/src/apply/statements/unique_values.rs) is not yet what the event says, so it is not counted.
create table witness (number bigserial, operation text, id text, row jsonb);
create function note() returns trigger language plpgsql as $$
  declare
    written jsonb;
  begin
    if tg_op = 'DELETE' then written := to_jsonb(old); else written := to_jsonb(new); end if;
    if tg_op = 'DELETE'
       or not (coalesce(written->>'email', '') like '%@moving.invalid'
               or (written ? 'slug' and written->>'slug' is null)) then
      insert into witness (operation, id, row) values (tg_op, written->>tg_argv[0], written);
    end if;
    return null;
  end $$;
create trigger note after insert or update or delete on users for each row execute function note('id');
create trigger note after insert or update or delete on organizations for each row execute function note('clerk_id');
create trigger note after insert or update or delete on memberships for each row execute function note('clerk_id');

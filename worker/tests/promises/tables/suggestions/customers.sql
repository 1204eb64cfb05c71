-- Customers of another provider, and what has to be filled by hand.
create table customers (customer_id serial primary key, auth0_id varchar(64) unique, first_name varchar(50) not null, last_name varchar(50) not null,
  email varchar(100) not null unique, phone varchar(20), loyalty_points int not null default 0, is_active boolean default true,
  created_date timestamp default now(), modified_date timestamp);

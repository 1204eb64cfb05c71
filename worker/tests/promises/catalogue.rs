//! What PostgreSQL's catalogue tells of tables of every habit.

use worker::database::catalogue::{Catalogue, read, read_search_path};
use worker::tables::section::TableName;

use crate::helpers::{World, database};

async fn look(world: &World, names: &[(Option<&str>, &str)]) -> Catalogue {
    let database = database(world);
    let mut connection = database.connection().await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    let name = |(schema, name): &(Option<&str>, &str)| TableName {
        schema: schema.map(str::to_owned),
        name: (*name).to_owned(),
    };
    let names: Vec<_> = names.iter().map(name).collect();
    if names.is_empty() {
        read_search_path(&transaction).await.unwrap()
    } else {
        read(&transaction, &names).await.unwrap()
    }
}

#[tokio::test]
async fn the_catalogue_is_read_of_tables_of_every_habit() {
    let world = World::new();
    world.sql(
        r#"create schema "My.App"; create extension citext;
        create domain email as citext not null default 'none';
        create table "My.App"."Us.er""s" (
          id int generated always as identity primary key, "cl.erk" varchar(40) unique, mail email, serial serial,
          twice int generated always as (id * 2) stored, padded char(9) default 'x', word text collate "C");
        create unique index lower on "My.App"."Us.er""s" (lower(word)) where padded is not null;
        create table parted (id text, at date, primary key (at, id)) partition by range (at);
        create table part partition of parted for values from ('2024-01-01') to ('2025-01-01');
        create table pointing (id int references "My.App"."Us.er""s" on delete cascade, part text, at date,
          foreign key (at, part) references parted);
        create table child () inherits (pointing);
        create view seen as select 1 as id"#,
    );
    let users = (Some("My.App"), "Us.er\"s");
    let catalogue = look(
        &world,
        &[users, (None, "parted"), (None, "child"), (None, "seen")],
    )
    .await;
    assert_eq!(catalogue.session.encoding, "UTF8");
    assert!(catalogue.others.is_empty());
    let told: Vec<_> = catalogue
        .tables
        .iter()
        .map(|table| format!("{:?} {}", table.form, table.id.quoted()))
        .collect();
    assert_eq!(
        told,
        [
            r#"Ordinary "public"."child""#,
            r#"Partitioned "public"."parted""#,
            r#"Other("view") "public"."seen""#,
            r#"Ordinary "My.App"."Us.er""s""#,
        ]
    );
    let users = catalogue.tables.last().unwrap();
    let columns: Vec<_> = users
        .columns
        .iter()
        .map(|column| {
            format!(
                "{} {} null:{} default:{:?} generated:{} unique:{}",
                column.name,
                column.exact_sql_type,
                column.takes_null,
                column.default_sql,
                column.is_generated,
                column.is_unique
            )
        })
        .collect();
    assert_eq!(
        columns,
        [
            "id integer null:false default:None generated:true unique:true",
            "cl.erk character varying(40) null:true default:None generated:false unique:true",
            "mail public.email null:false default:Some(\"'none'::citext\") generated:false unique:false",
            "serial integer null:false default:Some(\"nextval('\\\"My.App\\\".\\\"Us.er\\\"\\\"s_serial_seq\\\"'::regclass)\") generated:false unique:false",
            "twice integer null:true default:None generated:true unique:false",
            "padded character(9) null:true default:Some(\"'x'::bpchar\") generated:false unique:false",
            "word text null:true default:None generated:false unique:false",
        ]
    );
    assert_eq!(users.primary_key(), ["id"]);
    let lower = users.indexes.iter().find(|index| index.name == "lower");
    let lower = lower.unwrap();
    assert_eq!(lower.columns, [None]);
    assert_eq!(lower.mentioned, ["padded", "word"]);
    assert!(lower.is_partial && !lower.always_holds());
    let pointing = &users.referenced_by[0];
    assert_eq!(
        (
            pointing.table.quoted().as_str(),
            pointing.on_delete.as_deref()
        ),
        (r#""public"."pointing""#, Some("CASCADE"))
    );
    let parted = &catalogue.tables[1];
    assert_eq!(parted.referenced_by.len(), 1);
    assert_eq!(parted.referenced_by[0].columns, ["at", "part"]);
    assert_eq!(parted.referenced_by[0].other_columns, ["at", "id"]);
    let all = look(&world, &[]).await;
    let all: Vec<_> = all
        .tables
        .iter()
        .map(|table| table.id.name.as_str())
        .collect();
    assert_eq!(all, ["child", "parted", "pointing", "seen"]);
    let missing = look(&world, &[(None, "user")]).await;
    assert_eq!(missing.others.len(), 5);
}

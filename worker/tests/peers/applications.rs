//! Applications read and write the tables that a tables file names, beside the worker. Their machine, their
//! sessions and the worker are in New York.

use std::io::Write as _;
use std::thread;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use xtask::clerk_payload::UserPayload;

use crate::node::Node;
use crate::peer::TIME_ZONE;
use crate::python::Python;
use crate::user::User;
use crate::world::World;

/// In UTC half past two on a night in spring, an hour that New York does not have.
const SPRING: i64 = 1_710_037_800_123;
/// Half past one in autumn, an hour that New York has twice.
const AUTUMN: i64 = 1_730_597_400_987;

/// An application with a table of its own.
struct Application<'a> {
    world: World,
    tables: &'static str,
    /// Asks its script, in the form that `node/application.mjs` tells.
    ask: &'a dyn Fn(&Value) -> Value,
    /// What it says of a user of whom Clerk has said nothing yet.
    first: fn(&User) -> Value,
    /// What its row says once the worker has written it.
    written: fn(&User) -> Value,
    /// The columns that the application alone writes: a number, which is 10 by default, and times.
    own: fn(u32, Option<i64>) -> Value,
}

/// As long as both are there: docs/from-a-route.md.
#[test]
fn a_route_that_writes_the_same_rows_at_the_same_time_is_in_nobodys_way() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    world.sql(include_str!("../../../docs/tables/prisma.sql"));
    world.sql(
        r#"alter table "User" add credits integer not null default 10, add "seenAt" timestamp(3)"#,
    );
    let tables = tables_file(include_str!("../../../docs/tables/prisma.toml"));
    let _worker = world.worker_with(&[("TABLES_FILE", tables.path().to_str().unwrap())]);
    let users: Vec<_> = (100..200)
        .map(|number| {
            let user =
                UserPayload::new(&format!("user_{number}"), &format!("{number}@example.com"));
            [
                user.clone().first_name(None).updated_at(SPRING),
                user.updated_at(SPRING + 1),
            ]
        })
        .collect();
    let events: Vec<_> = users
        .iter()
        .flat_map(|[before, after]| [before.created(), after.updated()])
        .collect();
    let row = |number: usize, first_name: Option<&str>, updated_at: i64| {
        json!({
            "clerkId": format!("user_{number}"), "email": format!("{number}@example.com"),
            "firstName": first_name, "lastName": "Lovelace", "updatedAt": updated_at,
        })
    };
    let upserts: Vec<_> = (100..200)
        .flat_map(|number| {
            [
                row(number, None, SPRING),
                row(number, Some("Ada"), SPRING + 1),
            ]
        })
        .collect();
    let question = json!({
        "client": "prisma", "databaseUrl": world.database_url,
        "insert": [], "update": [], "upsert": upserts,
    });
    thread::scope(|scope| {
        scope.spawn(|| node.ask("application.mjs", &question));
        world.send(node, &events);
        world.settle();
    });
    let dead_letters = world.redis.cli(&["XLEN", "{clerk:0}:dead"]).unwrap();
    assert_eq!(dead_letters, "0");
    let written = r#"select count(*) from "User" where "firstName" = 'Ada' and "updatedAt" = '2024-03-10 02:30:00.124'"#;
    assert_eq!(world.sql(written), "100");
}

#[test]
fn prisma_with_its_default_types_shares_a_table_with_the_worker() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    world.sql(include_str!("../../../docs/tables/prisma.sql"));
    world.sql(
        r#"alter table "User" add credits integer not null default 10, add "seenAt" timestamp(3)"#,
    );
    let application = Application {
        world,
        tables: include_str!("../../../docs/tables/prisma.toml"),
        ask: &|question| {
            node.ask(
                "application.mjs",
                &both(question, &json!({"client": "prisma"})),
            )
        },
        // Prisma itself fills "id", "createdAt" and "updatedAt".
        first: |user| json!({"clerkId": user.id, "email": user.email}),
        written: |user| {
            json!({
                "clerkId": user.id, "email": user.email, "firstName": user.first_name,
                "lastName": user.last_name, "username": null, "imageUrl": user.image_url,
                "createdAt": user.created_at, "updatedAt": user.updated_at,
            })
        },
        own: |credits, time| json!({"credits": credits, "seenAt": time}),
    };
    application.shares_its_table_with_the_worker(node);
}

/// Somebody who was invited has a row before Clerk knows of them.
#[test]
fn drizzle_with_its_default_timestamp_shares_a_table_with_the_worker() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    world.sql(&node.drizzle_sql("drizzle_members.mjs"));
    let application = Application {
        world,
        tables: r#"
            [user]
            table = "members"
            key = "clerkId"
            link_by = "email"
            [user.columns]
            email = "primary_email_address"
            name = "full_name"
            createdAt = "created_at"
            updatedAt = "updated_at"
        "#,
        ask: &|question| {
            node.ask(
                "application.mjs",
                &both(question, &json!({"client": "drizzle"})),
            )
        },
        first: |user| json!({"email": user.email}),
        written: |user| {
            json!({
                "clerkId": user.id, "email": user.email, "name": user.name,
                "createdAt": user.created_at, "updatedAt": user.updated_at,
            })
        },
        own: |credits, time| json!({"credits": credits, "seenAt": time}),
    };
    application.shares_its_table_with_the_worker(node);
}

#[test]
fn sqlalchemy_with_times_of_both_kinds_shares_a_table_with_the_worker() {
    let (Some(node), Some(python)) = (Node::present(), Python::present()) else {
        return;
    };
    let application = Application {
        world: World::new(),
        tables: r#"
            [user]
            table = "accounts"
            key = "clerk_id"
            [user.columns]
            email = "primary_email_address"
            name = "full_name"
            created_at = "created_at"
            updated_at = "updated_at"
        "#,
        ask: &|question| python.ask("application.py", question),
        first: |user| {
            json!({
                "clerk_id": user.id, "email": user.email,
                "created_at": AUTUMN, "updated_at": AUTUMN,
            })
        },
        written: |user| {
            json!({
                "clerk_id": user.id, "email": user.email, "name": user.name,
                "created_at": user.created_at, "updated_at": user.updated_at,
            })
        },
        own: |credits, time| json!({"credits": credits, "seen_at": time, "left_at": time}),
    };
    application.shares_its_table_with_the_worker(node);
}

impl Application<'_> {
    fn shares_its_table_with_the_worker(&self, node: &Node) {
        let world = &self.world;
        world.leave_utc();
        let mut users = [
            User::new("user_1", "1@example.com"),
            User::new("user_2", "2@example.com"),
        ];
        for (user, time) in users.iter_mut().zip([SPRING, AUTUMN]) {
            user.created_at = time;
            user.updated_at = time + 1;
        }
        let mut own = [(self.own)(3, Some(SPRING)), (self.own)(10, None)];
        let rows = self.insert(&both(&(self.first)(&users[0]), &own[0]));
        let [first] = rows.as_slice() else {
            panic!("{rows:?}")
        };

        let file = tables_file(self.tables);
        let file = file.path().to_str().unwrap();
        let _worker = world.worker_with(&[("TABLES_FILE", file), ("TZ", TIME_ZONE)]);
        world.deliver(node, &users.each_ref().map(|user| user.payload().created()));
        let rows = self.rows();
        let ids = [&first["id"], &rows[1]["id"]];
        assert_eq!(rows, self.expected(ids, &users, &own));

        own[1] = (self.own)(4, Some(AUTUMN));
        self.update(&both(&json!({"email": users[1].email}), &own[1]));
        for user in &mut users {
            user.updated_at += 1;
            user.first_name = Some("Augusta");
            user.name = "Augusta Lovelace";
        }
        world.deliver(node, &users.each_ref().map(|user| user.payload().updated()));
        assert_eq!(self.rows(), self.expected(ids, &users, &own));
    }

    fn expected(&self, ids: [&Value; 2], users: &[User; 2], own: &[Value; 2]) -> Vec<Value> {
        [0, 1]
            .map(|user| {
                let written = (self.written)(&users[user]);
                both(&both(&json!({"id": ids[user]}), &written), &own[user])
            })
            .to_vec()
    }

    fn insert(&self, row: &Value) -> Vec<Value> {
        self.question(&json!({"insert": [row], "update": []}))
    }

    fn update(&self, row: &Value) -> Vec<Value> {
        self.question(&json!({"insert": [], "update": [row]}))
    }

    fn rows(&self) -> Vec<Value> {
        self.question(&json!({"insert": [], "update": []}))
    }

    /// The rows that it reads after what it was told to write.
    fn question(&self, question: &Value) -> Vec<Value> {
        let database = json!({"databaseUrl": self.world.database_url});
        let rows = (self.ask)(&both(question, &database));
        rows.as_array().unwrap().clone()
    }
}

fn tables_file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The fields of both.
fn both(one: &Value, other: &Value) -> Value {
    let fields = [one, other].map(|object| object.as_object().unwrap().clone());
    fields.into_iter().flatten().collect::<Value>()
}
